import { randomBytes } from 'node:crypto'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import { commandGroups } from '@ipfleet/redis/command-groups.ts'
import { luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { ifMoving } from '@ipfleet/redis/redis-unavailable.ts'
import type { Subscriber } from '@ipfleet/redis/subscriber.ts'
import { type FlightNames, flightNames } from './flight-keys.ts'
import type { Claim, ClaimOptions, Claims, Leases, LeaseSession } from './leases.ts'
import { bucketOf, held, leased, maxSubjects, RedisLease } from './redis-lease.ts'
import { RedlockLeases } from './redlock-leases.ts'

const observe = luaCommand(new URL('observe.lua', import.meta.url))

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
    const redlock = await this.#deps.redlock.tryAcquire(name, !evenIfLanded)
    if (!redlock) return { claims: [held], lease: undefined }
    const lease = new RedisLease({ ...this.#deps, token: redlock.token, redlock }, startedMs)
    // An outcome may have landed between the caller's look into the cache and this lease.
    return { claims: [evenIfLanded ? leased : { kind: 'leased', outcome: redlock.outcome }], lease }
  }

  /** The lease in force or the outcome; undefined when there is neither. */
  async #observe(name: string): Promise<Claim | undefined> {
    const { link, names } = this.#deps
    const [lease, landed] = [names.lease(name), names.outcome(name)]
    const apart = (): Promise<unknown> => link.run((redis) => Promise.all([redis.getBuffer(landed), redis.pttl(lease)]))
    const reply = await link.luaForBytes(observe, [lease, landed], [], { hasOtherWay: true }).catch(ifMoving(apart))
    const [bytes, leaseLeftMs] = reply as [Buffer | null, number]
    const outcome = bytes ?? undefined
    if (leaseLeftMs >= 0) return { kind: 'held', outcome, leaseLeftMs }
    return outcome && { kind: 'landed', outcome }
  }

  async #claimMany(subjects: readonly string[], { evenIfLanded }: ClaimOptions): Promise<Claims> {
    const { lifeMs, clock } = this.#deps
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
        lease.claimGroup(
          group.map((at) => subjects[at] as string),
          args,
        ),
      )
      const claims: Claim[] = []
      const claimed = await Promise.all(commands)
      claimed.forEach((some, index) => some.forEach((claim, at) => (claims[groups[index]?.[at] ?? 0] = claim)))
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
