import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { Lease, Leases } from './lease.ts'
import type { OutcomeBoard } from './outcome-board.ts'
import { between } from '@ipfleet/core/jitter.ts'
import { within } from '@ipfleet/core/within.ts'

/** How outcomes travel between replicas. */
export interface OutcomeCodec<T> {
  encode(outcome: T): Buffer
  /** Undefined for bytes that make no sense (another version wrote them). */
  decode(bytes: Buffer): T | undefined
  /** How long an outcome stays for those who come late. */
  keepMs(outcome: T): number
  /** If not, nothing is published: the lease is given back, and whoever waits loads for themselves. */
  concernsOthers(outcome: T): boolean
  /** Whether it also answers someone who came after the load had ended, or only those who waited for it. */
  servesLatecomers(outcome: T): boolean
}

export interface Flown<T> {
  readonly outcome: T
  /** This caller's own load brought it. */
  readonly led: boolean
  /** It is the fleet's outcome. False when our lease was lost meanwhile, or Redis went away. */
  readonly published: boolean
  /** Our lease was lost meanwhile: someone else's outcome may be newer than ours. */
  readonly superseded?: boolean
}

const recheckMs = { least: 100, most: 300 }

/**
 * One load per subject in the whole fleet. Of all who want it, one gets the lease, loads and publishes the outcome;
 * the others wait for it. If the holder dies its lease runs out, and one of the waiters takes over. Duplicates are
 * rare and bounded, not impossible: a holder paused past its lease may load once more than needed.
 */
export class FleetFlight<T> {
  readonly #leases: Leases
  readonly #board: OutcomeBoard
  readonly #codec: OutcomeCodec<T>
  readonly #clock: Clock

  constructor(leases: Leases, board: OutcomeBoard, codec: OutcomeCodec<T>, clock: Clock = monotonicClock) {
    this.#leases = leases
    this.#board = board
    this.#codec = codec
    this.#clock = clock
  }

  /**
   * The load's outcome, whoever made it.
   * @param deadlineMs on the monotonic clock. A waiter that passes it gives up; it never loads freely.
   * @throws RedisUnavailable when the fleet cannot be asked before a load of our own has begun.
   * @throws ProxyError `upstream_timeout` when the deadline passes while waiting.
   */
  async run(subject: string, load: () => Promise<T>, deadlineMs: number): Promise<Flown<T>> {
    const lease = await this.#leases.tryAcquire(subject)
    if (!lease) return this.#follow(subject, load, deadlineMs)
    return this.#leadUnlessLanded(lease, load, (outcome) => this.#codec.servesLatecomers(outcome))
  }

  /**
   * The same, unless someone else is at it: then undefined, at once.
   * @throws RedisUnavailable when the fleet cannot be asked
   */
  async runIfFree(subject: string, load: () => Promise<T>): Promise<Flown<T> | undefined> {
    const lease = await this.#leases.tryAcquire(subject)
    return lease && this.#leadUnlessLanded(lease, load, (outcome) => this.#codec.servesLatecomers(outcome))
  }

  /** Someone may have landed between the caller's look into the cache and our lease; then theirs is the answer. */
  async #leadUnlessLanded(lease: Lease, load: () => Promise<T>, answersUs: (outcome: T) => boolean): Promise<Flown<T>> {
    const landed = await this.#readLanded(lease.subject)
    if (landed === undefined || !answersUs(landed)) return this.#lead(lease, load)
    await lease.release()
    return { outcome: landed, led: false, published: true }
  }

  async #lead(lease: Lease, load: () => Promise<T>): Promise<Flown<T>> {
    const keeper = setInterval(() => void lease.extend(), this.#leases.lifeMs / 3)
    try {
      const outcome = await load()
      return { outcome, led: true, ...(await this.#publish(lease, outcome)) }
    } catch (error) {
      await lease.release()
      throw error
    } finally {
      clearInterval(keeper)
    }
  }

  async #follow(subject: string, load: () => Promise<T>, deadlineMs: number): Promise<Flown<T>> {
    const alarm = new Alarm()
    const stopListening = await this.#board.onLanding(subject, () => alarm.ring())
    try {
      while (this.#clock.nowMs() < deadlineMs) {
        const { outcome, leaseLeftMs } = await this.#board.observe(subject)
        const landed = outcome && this.#codec.decode(outcome)
        // Landing ends the lease in the same step. While one is in force the outcome is an earlier flight's.
        const isOurs = landed !== undefined && (leaseLeftMs === undefined || this.#codec.servesLatecomers(landed))
        if (isOurs) return { outcome: landed, led: false, published: true }
        if (leaseLeftMs === undefined) {
          const lease = await this.#leases.tryAcquire(subject)
          // Whatever landed meanwhile is what we waited for.
          if (lease) return await this.#leadUnlessLanded(lease, load, () => true)
        }
        await alarm.sleep(Math.min(nextRecheckMs(leaseLeftMs), deadlineMs - this.#clock.nowMs()))
      }
    } finally {
      stopListening()
    }
    throw new ProxyError('upstream_timeout', { detail: `waited for another replica's load of ${subject}` })
  }

  async #readLanded(subject: string): Promise<T | undefined> {
    try {
      const bytes = await this.#board.read(subject)
      return bytes && this.#codec.decode(bytes)
    } catch {
      // We hold the lease: with nothing known to have landed, loading is right.
      return undefined
    }
  }

  async #publish(lease: Lease, outcome: T): Promise<{ published: boolean; superseded?: boolean }> {
    try {
      if (!this.#codec.concernsOthers(outcome)) {
        await lease.release()
        return { published: false }
      }
      const published = await this.#board.publish(lease, this.#codec.encode(outcome), this.#codec.keepMs(outcome))
      return published ? { published } : { published, superseded: true }
    } catch {
      // Redis went away meanwhile, or is full. Our own callers have their answer, and need not wait for the waiters
      // elsewhere to be let go; if that fails too, they notice by themselves.
      void lease.release()
      return { published: false }
    }
  }
}

/** Waiters recheck on a jittered timer, sooner if the lease ends before: messages may be lost and holders may die. */
function nextRecheckMs(leaseLeftMs: number | undefined): number {
  if (leaseLeftMs === undefined) return between(0, recheckMs.least)
  return Math.min(between(recheckMs.least, recheckMs.most), leaseLeftMs + 5)
}

/** Sleep that a ring ends early, also one that came just before. */
class Alarm {
  #rung = false
  #wake: (() => void) | undefined

  ring(): void {
    this.#rung = true
    this.#wake?.()
  }

  async sleep(durationMs: number): Promise<void> {
    if (!this.#rung && durationMs > 0) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      await within(durationMs, promise)
      this.#wake = undefined
    }
    this.#rung = false
  }
}
