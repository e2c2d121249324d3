import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { EventEmitter } from 'node:events'
import type { Clock } from '@ipfleet/core/clock.ts'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import { LocalRateLimiter } from '@ipfleet/rate-limit/local-rate-limiter.ts'
import type { TokenBucket } from '@ipfleet/rate-limit/policy.ts'
import { charging, checking } from '@ipfleet/rate-limit/rate-limiter.ts'
import { refusal } from '../proxy/proxy-status.ts'
import type { SourceList } from '../sources/source-list.ts'
import type { Session } from '../sources/source-pool.ts'
import type { Target, TargetAddress } from '@ipfleet/net/target.ts'
import type { TargetList } from '@ipfleet/net/target-list.ts'
import { AcceptedUsers } from './accepted-users.ts'
import { PasswordChecks } from './password-checks.ts'
import { type GivenPair, type ProxyCredentials, readCredentials } from './proxy-credentials.ts'
import { readAnySessionName, readSessionName, type SessionName } from './session-name.ts'
import type { User, Users } from './users.ts'
import { wholeSeconds } from '@ipfleet/core/whole-seconds.ts'

/** A client that was let in, and what it may do. */
export interface Identity {
  /** Undefined if the proxy asks for no credentials. */
  readonly user: string | undefined
  readonly session?: Session | undefined
  /** The source that the client names with its user: an address, or the label of a parent. */
  readonly source?: string | undefined
  /** Which sources it may choose. Undefined: none. */
  readonly mayChoose?: SourceList | undefined
  /** The user's own limit; undefined: the limit of the settings. */
  readonly limit?: { readonly burst: number; readonly refillPerSecond: number } | undefined
  readonly maxTunnels?: number | undefined
  /** Undefined: all targets that the policy allows. */
  readonly mayReach?: ((target: Target) => (address: TargetAddress) => boolean) | undefined
}

/** Where the proxy asks for no credentials. */
export const anybody: Identity = { user: undefined }

/** Why a client is refused. Only for the log: a client that learns which half of a pair is wrong can guess the other. */
export type Denied =
  | {
      readonly kind: 'refused'
      readonly reason: 'malformed' | 'unknown_user' | 'wrong_password' | 'bad_option'
      /** Set for known users only: another name may be a password in the wrong place. */
      readonly user: string | undefined
      /** What is wrong with an option. */
      readonly detail: string | undefined
    }
  /** This client failed too often. Nothing new was checked. */
  | { readonly kind: 'limited'; readonly retryAfterMs: number }
  /** Too many passwords of all clients wait to be checked. */
  | { readonly kind: 'busy' }

export type Verdict =
  | { readonly kind: 'accepted'; readonly identity: Identity }
  /** The request has no credentials, as the first one of many clients. Not a failure. */
  | { readonly kind: 'missing' }
  | Denied

export interface AuthenticatorDeps {
  /** PROXY_USER and PROXY_PASS. They take precedence over a user of the file with the same name. */
  readonly credentials: ProxyCredentials | undefined
  /** The current users of the file; undefined if there is no file. */
  readonly users: () => Users | undefined
  /** RATE_LIMIT_REFILL, for users with a burst only. */
  readonly refillPerSecond: number
  readonly clock: Clock
}

/** Ten at once, and one more every six seconds. Checks in flight count beyond that, and delay the next. */
const failures: TokenBucket = { kind: 'token-bucket', burst: 10, refillPerSecond: 10 / 60 }
const noUsers: Users = new Map()
/** No user of the file has it. */
const nameOfNone = ''

/** Authenticates clients. With neither credentials nor a file, all clients are let in. */
export class Authenticator extends EventEmitter<{ denied: [client: string, denied: Denied] }> {
  readonly #deps: AuthenticatorDeps
  readonly #failures: LocalRateLimiter
  readonly #accepted: AcceptedUsers
  readonly #passwords = new PasswordChecks()
  readonly #key = randomBytes(32)
  readonly #expected: Buffer

  constructor(deps: AuthenticatorDeps) {
    super()
    this.#deps = deps
    this.#failures = new LocalRateLimiter({ clock: deps.clock })
    this.#accepted = new AcceptedUsers(deps.clock)
    this.#expected = this.#digest(deps.credentials?.password ?? '')
  }

  /** Whether clients are asked for credentials. */
  get asks(): boolean {
    return this.#deps.credentials !== undefined || this.#deps.users() !== undefined
  }

  /**
   * Identifies a client by a Proxy-Authorization field or what stands for one, undefined if there is none. A promise
   * only if a slow hash must be computed.
   * @throws Refusal, the same for every fault of the credentials
   */
  identify(given: string | GivenPair | undefined, client: string): Identity | Promise<Identity> {
    const verdict = this.check(given, addressSubject(client))
    return verdict instanceof Promise
      ? verdict.then((slow) => this.#identityOf(slow, client))
      : this.#identityOf(verdict, client)
  }

  /**
   * Checks credentials. A promise only if a slow hash must be computed: for the first request of a user
   * of the file, and for wrong passwords. Failures are counted by `subject`.
   */
  check(sent: string | GivenPair | undefined, subject: string): Verdict | Promise<Verdict> {
    const users = this.#deps.users()
    if (!this.asks) return open(sent)
    if (sent === undefined) return { kind: 'missing' }
    const standing = this.#failures.spend(subject, failures, checking)
    const given = readCredentials(sent)
    if (standing.kind === 'limited' && !(given && this.#passes(given, users ?? noUsers, subject))) {
      return { kind: 'limited', retryAfterMs: standing.retryAfterMs }
    }
    if (given === undefined) return this.#counted(subject, refused('malformed'))
    return this.#judge(given, users ?? noUsers, subject)
  }

  #identityOf(verdict: Verdict, client: string): Identity {
    if (verdict.kind === 'accepted') return verdict.identity
    if (verdict.kind !== 'missing') this.emit('denied', client, verdict)
    if (verdict.kind === 'busy') {
      throw refusal('overloaded', 'connection_limit_reached', 'password checks', { retryAfterSeconds: 1 })
    }
    if (verdict.kind !== 'limited') throw refusal('proxy_auth_required', 'http_request_denied')
    const retryAfterSeconds = wholeSeconds(verdict.retryAfterMs)
    throw refusal('rate_limited', 'http_request_denied', 'failed logins', {
      retryAfterSeconds,
      message: failedTooOften,
    })
  }

  #nameOf({ user }: ProxyCredentials, users: Users): SessionName {
    return readSessionName(user, (one) => one === this.#deps.credentials?.user || users.has(one))
  }

  /** Although its address is limited: without a slow hash, so that no client has to wait. */
  #passes(given: ProxyCredentials, users: Users, subject: string): boolean {
    const name = this.#nameOf(given, users)
    if (name.kind === 'unknown_user') return this.#accepted.passes(subject, given.user, false)
    const isMain = name.user === this.#deps.credentials?.user
    const isRight = isMain ? this.#isMainPassword(given) : this.#passwords.isKnown(users, name.user, given.password)
    return this.#accepted.passes(subject, name.user, isRight)
  }

  #isMainPassword({ password }: ProxyCredentials): boolean {
    return timingSafeEqual(this.#digest(password), this.#expected)
  }

  #judge(given: ProxyCredentials, users: Users, subject: string): Verdict | Promise<Verdict> {
    const name = this.#nameOf(given, users)
    const user = name.kind === 'unknown_user' ? given.user : name.user
    const isMain = name.kind !== 'unknown_user' && user === this.#deps.credentials?.user
    const isFast = isMain || users.size === 0
    const isRight = isFast ? this.#isMainPassword(given) : this.#passwords.isKnown(users, user, given.password)
    // Beside users of a file, a wrong password of PROXY_USER costs a hash too: that it did not would tell the name.
    if (isRight || users.size === 0) {
      return this.#counted(subject, this.#concluded(name, isRight, isMain ? undefined : users.get(user)))
    }
    return this.#judgeSlowly({ user: isMain ? nameOfNone : user, password: given.password }, name, users, subject)
  }

  async #judgeSlowly(given: ProxyCredentials, name: SessionName, users: Users, subject: string): Promise<Verdict> {
    const check = this.#passwords.check(users, given.user, given.password)
    if (check === undefined) return { kind: 'busy' }
    const verdict = this.#concluded(name, await check.isRight, users.get(given.user))
    // Many requests with one wrong password at the same time are one guess.
    return check.isShared ? verdict : this.#counted(subject, verdict)
  }

  #concluded(name: SessionName, isRight: boolean, user: User | undefined): Verdict {
    if (name.kind === 'unknown_user') return refused('unknown_user')
    if (!isRight) return refused('wrong_password', name.user)
    if (name.kind === 'bad_option') return refused('bad_option', name.user, name.detail)
    const { burst, refillPerSecond = this.#deps.refillPerSecond } = user?.limit ?? {}
    const identity = {
      user: name.user,
      session: name.session,
      source: name.source,
      mayChoose: user?.ips,
      limit: burst === undefined ? undefined : { burst, refillPerSecond },
      maxTunnels: user?.maxTunnels,
      mayReach: user?.allow && reachOf(user.allow),
    }
    return { kind: 'accepted', identity }
  }

  #counted(subject: string, verdict: Verdict): Verdict {
    if (verdict.kind === 'refused') this.#failures.spend(subject, failures, charging(1))
    if (verdict.kind === 'accepted') this.#accepted.add(subject, verdict.identity.user ?? '')
    return verdict
  }

  /** Digests have one length, and a common prefix of two digests reveals nothing of the passwords. */
  #digest(password: string): Buffer {
    return createHmac('sha256', this.#key).update(password).digest()
  }
}

const failedTooOften = 'There were too many wrong passwords from your address; try again after the time in Retry-After'

/** Credentials may name a session even if none are required. */
function open(sent: string | GivenPair | undefined): Verdict {
  const given = sent === undefined ? undefined : readCredentials(sent)
  const name = given === undefined ? undefined : readAnySessionName(given.user)
  if (name?.kind === 'bad_option') return refused('bad_option', undefined, name.detail)
  const { session, source } = name?.kind === 'name' ? name : anybody
  return { kind: 'accepted', identity: { ...anybody, session, source } }
}

/** A name that is listed stands for all its addresses. */
function reachOf(allow: TargetList): Identity['mayReach'] {
  return ({ host, isAddress }) => {
    const isListed = !isAddress && allow.hasName(host)
    return ({ address }) => isListed || allow.hasAddress(address)
  }
}

function refused(reason: Extract<Denied, { kind: 'refused' }>['reason'], user?: string, detail?: string): Verdict {
  return { kind: 'refused', reason, user, detail }
}
