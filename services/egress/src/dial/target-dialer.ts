import type { OnReadOpts } from 'node:net'
import { DeadlineWatch } from '@ipfleet/core/deadline-watch.ts'
import type { TargetPolicy } from '@ipfleet/net/target-policy.ts'
import type { Target, TargetAddress, TargetVerdict } from '@ipfleet/net/target.ts'
import type { ClientSignal, Dialled, DialRequest } from './dial-request.ts'
import type { Source } from '../sources/source-pool.ts'
import { dialRefusal, type Refusal, refusal, verdictRefusal } from '../proxy/proxy-status.ts'
import type { Identity } from '../auth/authenticator.ts'
import type { RequestContext } from '../proxy/request-record.ts'
import { FamilyAttempt, type AttemptEnd, type AttemptOwner, type FamilyAttemptDeps } from './family-attempt.ts'

export interface TargetDialerDeps extends DialerDeps {
  readonly policy: TargetPolicy
  readonly record: { connected(source: Source, durationMs: number): void }
}

export type Connected = Extract<Dialled, { kind: 'connected' }>

/** Connects requests to their targets. Its methods throw a Refusal. */
export class TargetDialer {
  readonly #deps: TargetDialerDeps

  constructor(deps: TargetDialerDeps) {
    this.#deps = deps
  }

  /**
   * The name is looked up once, every address of it is checked, and only those that passed are dialled. A promise only if
   * the name must be looked up.
   */
  route(
    target: Target,
    who: Identity,
    method: 'connect' | 'forward',
    signal: ClientSignal,
    onread?: OnReadOpts,
  ): DialRequest | Promise<DialRequest> {
    const asked = { target, session: who.session, chosen: who.source, signal, onread }
    const verdict = this.#deps.policy.judge(target, method)
    return verdict instanceof Promise
      ? verdict.then((later) => routeOf(later, asked, who))
      : routeOf(verdict, asked, who)
  }

  dial(context: RequestContext, route: DialRequest): Promise<Connected> {
    return new Promise((resolve, reject) => {
      new HappyEyeballs(this.#deps, route, (dialled) => {
        if (dialled.kind === 'connected' || dialled.kind === 'failed') context.source = dialled.source
        if (dialled.kind === 'connected' && !route.signal.aborted) {
          this.#deps.record.connected(dialled.source, dialled.durationMs)
          resolve(dialled)
          return
        }
        if (dialled.kind === 'connected') dialled.socket.destroy()
        const hasLeft = dialled.kind === 'connected' || dialled.kind === 'aborted'
        reject(hasLeft ? clientLeft() : dialRefusal(dialled))
      }).start()
    })
  }
}

/** @throws Refusal */
function routeOf(verdict: TargetVerdict, asked: Omit<DialRequest, 'addresses'>, { mayReach }: Identity): DialRequest {
  if (asked.signal.aborted) throw clientLeft()
  if (verdict.kind !== 'allowed') throw verdictRefusal(verdict)
  const addresses = mayReach === undefined ? verdict.addresses : verdict.addresses.filter(mayReach(asked.target))
  if (addresses.length === 0) throw refusal('target_refused', 'http_request_denied', 'user')
  return { ...asked, addresses }
}

function clientLeft(): Refusal {
  return refusal('client_left', 'http_request_error')
}

export interface DialerDeps extends FamilyAttemptDeps {
  /** For the whole dial. */
  readonly connectTimeoutMs: number
}

/** How long the first family has before the second begins: the Connection Attempt Delay (RFC 8305 §5). */
const attemptDelayMs = 250
const deadlines = new DeadlineWatch()

/**
 * One dial. Where the target has addresses of both families, and the pool has sources of both, the second family begins
 * when the first has failed or is slow, and the first to connect wins (RFC 8305). So usually only one source is taken.
 */
export class HappyEyeballs implements AttemptOwner {
  readonly #deps: DialerDeps
  readonly request: DialRequest
  readonly #onEnd: (dialled: Dialled) => void
  readonly #families: readonly (4 | 6)[]
  readonly deadlineMs: number
  readonly #attempts: FamilyAttempt[] = []
  readonly #ends: AttemptEnd[] = []
  #delay: NodeJS.Timeout | undefined

  constructor(deps: DialerDeps, request: DialRequest, onEnd: (dialled: Dialled) => void) {
    this.#deps = deps
    this.request = request
    this.#onEnd = onEnd
    this.#families = familiesOf(request.addresses)
    this.deadlineMs = deps.clock.nowMs() + deps.connectTimeoutMs
  }

  start(): void {
    const { signal } = this.request
    if (signal.aborted) {
      this.#onEnd({ kind: 'aborted' })
      return
    }
    signal.addEventListener('abort', this.#onAbort)
    deadlines.add(this)
    this.#begin(this.#families)
  }

  decided(): void {
    if (this.#secondFamilies.length > 0) this.#delay = setTimeout(() => this.#beginSecond(), this.#secondDelayMs)
  }

  over(end: AttemptEnd): void {
    this.#ends.push(end)
    if (end.kind === 'connected') this.#settle(end)
    else {
      this.#beginSecond()
      if (this.#ends.length === this.#attempts.length) this.#settle(this.#mostTelling)
    }
  }

  #begin(families: readonly (4 | 6)[]): void {
    const attempt = new FamilyAttempt(this.#deps, families, this)
    this.#attempts.push(attempt)
    attempt.start()
  }

  #beginSecond(): void {
    clearTimeout(this.#delay)
    const families = this.#secondFamilies
    if (families.length > 0) this.#begin(families)
  }

  /** Whether one source only will do. */
  get #isHard(): boolean {
    return this.request.chosen !== undefined || this.request.session?.hard === true
  }

  /** The families of a second attempt; none if it has begun, or is not allowed. */
  get #secondFamilies(): readonly (4 | 6)[] {
    const first = this.#attempts[0]?.family
    if (this.#attempts.length !== 1 || first === undefined || this.#isHard) return []
    return this.#families.filter((family) => family !== first)
  }

  /** A session keeps its address as long as it connects, so the second family waits much longer. */
  get #secondDelayMs(): number {
    return this.request.session === undefined ? attemptDelayMs : this.#deps.connectTimeoutMs / 2
  }

  /** A failure of the target says more than a lack of sources. Of two failures, the later one. */
  get #mostTelling(): AttemptEnd {
    const [first = { kind: 'no_family' }, second] = this.#ends
    if (second === undefined) return first
    return mostTellingFirst.indexOf(second.kind) <= mostTellingFirst.indexOf(first.kind) ? second : first
  }

  checkDeadline(): void {
    if (this.#deps.clock.nowMs() < this.deadlineMs) return
    const sources = this.#attempts.map((attempt) => attempt.expire())
    this.#settle({ kind: 'failed', code: 'ETIMEDOUT', source: sources.find((source) => source !== undefined) })
  }

  readonly #onAbort = (): void => {
    this.#settle({ kind: 'aborted' })
  }

  #settle(dialled: Dialled): void {
    deadlines.delete(this)
    clearTimeout(this.#delay)
    this.request.signal.removeEventListener('abort', this.#onAbort)
    for (const attempt of this.#attempts) attempt.stop()
    this.#onEnd(dialled)
  }
}

const onlyIpv4: readonly (4 | 6)[] = [4]
const onlyIpv6: readonly (4 | 6)[] = [6]

/** In the order of their first addresses. */
function familiesOf(addresses: readonly TargetAddress[]): readonly (4 | 6)[] {
  const first = addresses[0]?.family
  const isMixed = addresses.some(({ family }) => family !== first)
  if (!isMixed) return first === 6 ? onlyIpv6 : onlyIpv4
  return first === 6 ? [6, 4] : [4, 6]
}

const mostTellingFirst: readonly AttemptEnd['kind'][] = [
  'own_lack',
  'failed',
  'session_lost',
  'unknown_source',
  'no_source',
  'no_family',
]
