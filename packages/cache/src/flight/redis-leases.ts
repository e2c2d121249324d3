import { randomBytes } from 'node:crypto'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import { bucketTag } from '@ipfleet/redis/bucket-tags.ts'
import { commandGroups } from '@ipfleet/redis/command-groups.ts'
import { type LuaArgument, type LuaCommand, luaCommand } from '@ipfleet/redis/lua-command.ts'
import { packedValues } from '@ipfleet/redis/packed-values.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { Subscriber } from '@ipfleet/redis/subscriber.ts'
import { type FlightNames, flightNames } from './flight-keys.ts'
import type { Claim, ClaimOptions, Claims, LandedOutcome, Lease, Leases, LeaseSession } from './leases.ts'
import { type RedlockLease, RedlockLeases } from './redlock-leases.ts'

const claimLeases = luaCommand(new URL('claim-leases.lua', import.meta.url))
const extendLeases = luaCommand(new URL('extend-leases.lua', import.meta.url))
const releaseLeases = luaCommand(new URL('release-leases.lua', import.meta.url))
const publishOutcomes = luaCommand(new URL('publish-outcomes.lua', import.meta.url))
const observe = luaCommand(new URL('observe.lua', import.meta.url))

/** Others wait for what a lease's holder does with it. */
const vital = { isVital: true }

/** Subjects of one command: some hundred microseconds of Redis's time, in which it serves no other client. */
const maxSubjects = 250
/** Bytes of one publishing command, or one outcome. */
const maxBytes = 256 * 1024

export interface RedisLeasesOptions {
  readonly lifeMs: number
  /** Put before each subject, where the fleet knows it under a longer name. @throws RedisUnavailable */
  readonly prefix?: () => string
  readonly clock?: Clock
}

/**
 * Leases and outcomes in Redis. The lease of one subject is redlock's. Many are claimed by one command, which writes
 * what redlock writes (the same key, a token of the same kind), so that one and many keep each other out.
 */
export class RedisLeases implements Leases {
  readonly lifeMs: number
  readonly #deps: Omit<SessionDeps, 'prefix'>
  readonly #prefix: () => string

  constructor(link: RedisLink, subscriber: Subscriber, options: RedisLeasesOptions) {
    const { lifeMs, prefix = () => '', clock = monotonicClock } = options
    const redlock = new RedlockLeases(link, { lifeMs, clock })
    this.lifeMs = lifeMs
    this.#deps = { link, subscriber, redlock, names: flightNames(link.names), lifeMs, clock }
    this.#prefix = prefix
  }

  open(): LeaseSession {
    return new RedisLeaseSession({ ...this.#deps, prefix: this.#prefix() })
  }
}

interface SessionDeps {
  readonly link: RedisLink
  readonly subscriber: Subscriber
  readonly redlock: RedlockLeases
  readonly names: FlightNames
  readonly lifeMs: number
  readonly prefix: string
  readonly clock: Clock
}

class RedisLeaseSession implements LeaseSession {
  readonly #deps: SessionDeps

  constructor(deps: SessionDeps) {
    this.#deps = deps
  }

  async claim(subjects: readonly string[], options: ClaimOptions = {}): Promise<Claims> {
    const [subject] = subjects
    const isOne = subjects.length === 1 && options.evenIfLanded?.lease === undefined
    return isOne && subject !== undefined ? this.#claimOne(subject, options) : this.#claimMany(subjects, options)
  }

  onLanding(subject: string, wake: () => void): Promise<() => void> {
    const { subscriber, names, prefix } = this.#deps
    return subscriber.subscribe(names.landed(prefix + subject), wake)
  }

  async #claimOne(subject: string, { awaited, evenIfLanded }: ClaimOptions): Promise<Claims> {
    const name = this.#deps.prefix + subject
    if (awaited?.has(subject) && !evenIfLanded) {
      const seen = await this.#observe(name)
      if (seen) return { claims: [seen], lease: undefined }
    }
    const startedMs = this.#deps.clock.nowMs()
    const acquiring = this.#deps.redlock.tryAcquire(name)
    // Sent behind it on the same connection, so that it is done behind it, and one wait is enough.
    const early = this.#deps.redlock.isOneCommand && !evenIfLanded ? this.#read(name) : undefined
    const redlock = await acquiring
    if (!redlock) return { claims: [{ kind: 'held' }], lease: undefined }
    const lease = new RedisLease({ ...this.#deps, token: redlock.token, redlock }, startedMs)
    if (evenIfLanded) return { claims: [{ kind: 'leased' }], lease }
    // An outcome may have landed between the caller's look into the cache and this lease.
    return { claims: [{ kind: 'leased', outcome: await (early ?? this.#read(name)) }], lease }
  }

  /** The lease in force or the outcome; undefined when there is neither. */
  async #observe(name: string): Promise<Claim | undefined> {
    const { link, names } = this.#deps
    const reply = await link.luaForBytes(observe, [names.lease(name), names.outcome(name)], [])
    const [bytes, leaseLeftMs] = reply as [Buffer | null, number]
    const outcome = bytes ?? undefined
    if (leaseLeftMs >= 0) return { kind: 'held', outcome, leaseLeftMs }
    return outcome && { kind: 'landed', outcome }
  }

  async #read(name: string): Promise<Buffer | undefined> {
    const { link, names } = this.#deps
    try {
      return (await link.run((client) => client.getBuffer(names.outcome(name)))) ?? undefined
    } catch {
      // The lease is ours: with no outcome known, loading is right.
      return undefined
    }
  }

  async #claimMany(subjects: readonly string[], { evenIfLanded }: ClaimOptions): Promise<Claims> {
    const { link, lifeMs, clock } = this.#deps
    const startedMs = clock.nowMs()
    const earlier = evenIfLanded?.lease
    // As long and as random as redlock's own.
    const token = randomBytes(16).toString('hex')
    const lease =
      earlier instanceof RedisLease ? earlier : new RedisLease({ ...this.#deps, token, redlock: undefined }, startedMs)
    const args = [lease.token, lifeMs, evenIfLanded ? 1 : 0]
    try {
      const groups = commandGroups([...subjects.keys()], {
        maxItems: maxSubjects,
        bucketOf: bucketOf(this.#deps, (at: number) => subjects[at] as string),
      })
      const commands = groups.map((group) =>
        link.luaForBytes(claimLeases, lease.keysOf(group.map((at) => subjects[at] as string)), args),
      )
      const claims: Claim[] = []
      const replies = (await Promise.all(commands)) as ClaimReply[]
      replies.forEach((reply, index) =>
        claimsIn(reply).forEach((claim, at) => (claims[groups[index]?.[at] ?? 0] = claim)),
      )
      if (clock.nowMs() - startedMs < lifeMs / 2) return { claims, lease }
      // This process was stalled: what is left of the leases is too short to rely on.
      await lease.release(subjects)
      return { claims: claims.map((claim) => (claim.kind === 'leased' ? held : claim)), lease: undefined }
    } catch (error) {
      // Leases that were granted after all would make every replica wait for a load that is not made.
      void lease.release(subjects)
      throw error
    }
  }
}

interface LeaseDeps extends Pick<SessionDeps, 'link' | 'names' | 'lifeMs' | 'prefix' | 'clock'> {
  /** Proves to Redis whose lease it is. */
  readonly token: string
  /** Of one subject. */
  readonly redlock: RedlockLease | undefined
}

class RedisLease implements Lease {
  readonly token: string
  readonly #deps: LeaseDeps
  #grantedMs: number

  /** @param grantedMs before it was asked for, by the monotonic clock */
  constructor(deps: LeaseDeps, grantedMs: number) {
    this.token = deps.token
    this.#deps = deps
    this.#grantedMs = grantedMs
  }

  isSure(): boolean {
    const { link, lifeMs, clock } = this.#deps
    return link.up && clock.nowMs() - this.#grantedMs < lifeMs / 2
  }

  async extend(subjects: readonly string[]): Promise<void> {
    const { redlock, clock } = this.#deps
    const startedMs = clock.nowMs()
    const isOurs = redlock ? await redlock.extend() : await this.#extendMany(subjects)
    this.#grantedMs = isOurs ? startedMs : -Infinity
  }

  async release(subjects: readonly string[]): Promise<void> {
    const { redlock } = this.#deps
    if (redlock) await redlock.release()
    else await this.#eachGroup(subjects, releaseLeases, [this.token])
  }

  async publish(outcomes: readonly LandedOutcome[]): Promise<ReadonlySet<string> | undefined> {
    const groups = commandGroups(outcomes, {
      maxItems: maxSubjects,
      maxBytes,
      bytesOf: ({ bytes }) => bytes.length,
      bucketOf: bucketOf(this.#deps, ({ subject }: LandedOutcome) => subject),
    })
    try {
      return new Set((await Promise.all(groups.map((group) => this.#publishGroup(group)))).flat())
    } catch {
      // Redis went away meanwhile, or is full. Those who wait elsewhere need not wait for the leases to run out.
      void this.release(outcomes.map(({ subject }) => subject))
      return undefined
    }
  }

  /** First the leases, then the outcomes. */
  keysOf(subjects: readonly string[]): string[] {
    const { names, prefix } = this.#deps
    const full = subjects.map((subject) => prefix + subject)
    return [...full.map(names.lease), ...full.map(names.outcome)]
  }

  async #publishGroup(group: readonly LandedOutcome[]): Promise<readonly string[]> {
    const subjects = group.map(({ subject }) => subject)
    const { sizes, bytes } = packedValues(group.map((one) => one.bytes))
    const keepMs = JSON.stringify(group.map((one) => one.keepMs))
    const isHeardElsewhere = this.#deps.link.isCluster ? 1 : 0
    const args = [this.token, sizes, bytes, keepMs, this.#deps.names.landedChannels, isHeardElsewhere]
    const published = (await this.#deps.link.lua(publishOutcomes, this.keysOf(subjects), args, vital)) as string
    return published.includes('0') ? subjects.filter((_, at) => published[at] === '1') : subjects
  }

  async #extendMany(subjects: readonly string[]): Promise<boolean> {
    const replies = await this.#eachGroup(subjects, extendLeases, [this.token, this.#deps.lifeMs])
    const prolonged = replies.map((reply) => (reply.status === 'fulfilled' ? Number(reply.value) : 0))
    return prolonged.reduce((sum, count) => sum + count, 0) === subjects.length
  }

  #eachGroup(
    subjects: readonly string[],
    command: LuaCommand,
    args: readonly LuaArgument[],
  ): Promise<PromiseSettledResult<unknown>[]> {
    const { link, names, prefix } = this.#deps
    const leasesOf = (group: readonly string[]): string[] => group.map((subject) => names.lease(prefix + subject))
    const of = bucketOf(this.#deps, (subject: string) => subject)
    const groups = commandGroups(subjects, { maxItems: maxSubjects, bucketOf: of })
    return Promise.allSettled(groups.map((group) => link.lua(command, leasesOf(group), args, vital)))
  }
}

/** On a Cluster, where the keys of a command share a slot, by which bucket to group items. */
function bucketOf<T>(
  { link, prefix }: Pick<SessionDeps, 'link' | 'prefix'>,
  subjectOf: (item: T) => string,
): ((item: T) => string) | undefined {
  return link.isCluster ? (item) => bucketTag(prefix + subjectOf(item)) : undefined
}

type ClaimReply = [states: Buffer, ...outcomes: (Buffer | null)[]]

const leased: Claim = { kind: 'leased' }
const held: Claim = { kind: 'held' }
const stateOf = { leased: 0x31, landed: 0x32 } as const

function claimsIn([states, ...outcomes]: ClaimReply): Claim[] {
  const left = outcomes.values()
  return Array.from(states, (state): Claim => {
    if (state === stateOf.leased) return leased
    const outcome = left.next().value ?? undefined
    return state === stateOf.landed && outcome ? { kind: 'landed', outcome } : { kind: 'held', outcome }
  })
}
