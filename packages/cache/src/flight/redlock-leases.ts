import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import { ExecutionError, type Lock, ResourceLockedError } from 'redlock'
import { type FlightNames, flightNames } from './flight-keys.ts'
import { LeaseClient } from './lease-client.ts'

/**
 * Leases of one subject each, as Redis locks. One Redis only: a failover may let two holders in, which costs an extra
 * upstream call and nothing else, since only the lock's owner can publish.
 *
 * Works around redlock 5.0.0-beta.2: it judges expiry by the wall clock (so we do, by the monotonic one), and it
 * reports contention and outage as the same error.
 */
export class RedlockLeases {
  readonly #lifeMs: number
  readonly #link: RedisLink
  readonly #names: FlightNames
  readonly #client: LeaseClient
  readonly #clock: Clock

  constructor(link: RedisLink, { lifeMs, clock = monotonicClock }: { lifeMs: number; clock?: Clock }) {
    this.#lifeMs = lifeMs
    this.#link = link
    this.#clock = clock
    this.#names = flightNames(link.names)
    this.#client = new LeaseClient(link, this.#names)
  }

  /**
   * The lease, or undefined while another holds it.
   * @param wantsOutcome whether the outcome is of use, which on a Cluster takes a command more
   * @throws RedisUnavailable
   */
  async tryAcquire(subject: string, wantsOutcome = true): Promise<RedlockLease | undefined> {
    const startedMs = this.#clock.nowMs()
    let acquiring: Promise<Lock> | undefined
    try {
      const lock = await this.#link.run(() => {
        acquiring = this.#client.redlock.acquire([subject], this.#lifeMs)
        return acquiring.catch(undefinedIfHeld)
      })
      if (!lock) return undefined
      const landed = this.#client.takeOutcome(lock.value)
      const outcome = wantsOutcome && this.#link.isCluster ? await this.#read(subject) : landed
      const lease = new RedlockLease(this.#link, lock, this.#lifeMs, outcome)
      if (this.#clock.nowMs() - startedMs < this.#lifeMs / 2) return lease
      // This process was stalled: what is left of the lease is too short to rely on.
      await lease.release()
      return undefined
    } catch (error) {
      // A lock that is granted after we gave up would make every replica wait for a load that is not made.
      acquiring?.then((lock) => this.#giveBack(lock)).catch(() => {})
      throw RedisUnavailable.from(error)
    }
  }

  async #giveBack(lock: Lock): Promise<void> {
    this.#client.takeOutcome(lock.value)
    await lock.release()
  }

  async #read(subject: string): Promise<Buffer | undefined> {
    try {
      return (await this.#link.run((client) => client.getBuffer(this.#names.outcome(subject)))) ?? undefined
    } catch {
      // The lease is ours: with no outcome known, loading is right.
      return undefined
    }
  }
}

export class RedlockLease {
  /** What an earlier flight had left when the lease was granted. */
  readonly outcome: Buffer | undefined
  readonly #link: RedisLink
  readonly #lifeMs: number
  #lock: Lock

  constructor(link: RedisLink, lock: Lock, lifeMs: number, outcome: Buffer | undefined) {
    this.#link = link
    this.#lock = lock
    this.#lifeMs = lifeMs
    this.outcome = outcome
  }

  /** Proves ownership to what stores the outcome. */
  get token(): string {
    return this.#lock.value
  }

  /** Prolongs it by its full life. False when it is lost: another replica may hold it now. */
  async extend(): Promise<boolean> {
    // redlock refuses to extend what its wall clock calls expired; whether it is, Redis decides.
    this.#lock.expiration = Number.POSITIVE_INFINITY
    try {
      const extended = await this.#link.run(() => this.#lock.extend(this.#lifeMs).catch(undefinedIfHeld))
      if (!extended) return false
      this.#lock = extended
      return true
    } catch {
      return false
    }
  }

  /** Gives it back early. Never fails: a lease that is not given back runs out. */
  async release(): Promise<void> {
    try {
      await this.#link.run(() => this.#lock.release().catch(undefinedIfHeld), { isVital: true })
    } catch {
      // It runs out by itself.
    }
  }
}

/** Contention is an outcome; anything else is a failure and is thrown on, as what Redis said. */
async function undefinedIfHeld(error: unknown): Promise<undefined> {
  if (!(error instanceof ExecutionError)) throw error
  const votes = await error.attempts.at(-1)
  const reasons = [...(votes?.votesAgainst.values() ?? [])]
  if (reasons.some((reason) => reason instanceof ResourceLockedError)) return undefined
  throw reasons[0] ?? error
}
