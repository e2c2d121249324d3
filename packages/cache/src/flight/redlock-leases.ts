import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import Redlock, { ExecutionError, type Lock, ResourceLockedError } from 'redlock'
import { flightNames } from './flight-keys.ts'

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
  readonly #redlock: Redlock
  readonly #clock: Clock
  readonly #keyOf: (subject: string) => string
  #isScriptKnown = false

  constructor(link: RedisLink, { lifeMs, clock = monotonicClock }: { lifeMs: number; clock?: Clock }) {
    this.#lifeMs = lifeMs
    this.#link = link
    this.#clock = clock
    this.#keyOf = flightNames(link.names).lease
    this.#redlock = new Redlock([link.client], { retryCount: 0 })
    // It may be another server, or one that has forgotten its scripts.
    link.on('down', () => (this.#isScriptKnown = false))
  }

  /** Whether acquiring sends one command, at once; else a second one may follow: with the script, or to another node. */
  get isOneCommand(): boolean {
    return this.#isScriptKnown && !this.#link.isCluster
  }

  /** The lease, or undefined while another holds it. @throws RedisUnavailable */
  async tryAcquire(subject: string): Promise<RedlockLease | undefined> {
    const startedMs = this.#clock.nowMs()
    let acquiring: Promise<Lock> | undefined
    try {
      const lock = await this.#link.run(() => {
        acquiring = this.#redlock.acquire([this.#keyOf(subject)], this.#lifeMs)
        return acquiring.catch(undefinedIfHeld)
      })
      this.#isScriptKnown = true
      if (!lock) return undefined
      const lease = new RedlockLease(this.#link, lock, this.#lifeMs)
      if (this.#clock.nowMs() - startedMs < this.#lifeMs / 2) return lease
      // This process was stalled: what is left of the lease is too short to rely on.
      await lease.release()
      return undefined
    } catch (error) {
      // A lock that is granted after we gave up would make every replica wait for a load that is not made.
      acquiring?.then((lock) => lock.release()).catch(() => {})
      throw RedisUnavailable.from(error)
    }
  }
}

export class RedlockLease {
  readonly #link: RedisLink
  readonly #lifeMs: number
  #lock: Lock

  constructor(link: RedisLink, lock: Lock, lifeMs: number) {
    this.#link = link
    this.#lock = lock
    this.#lifeMs = lifeMs
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
