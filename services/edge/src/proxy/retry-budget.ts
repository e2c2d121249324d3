import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import type { RetryConfig } from '../config/edge-config.ts'

type RetryShare = Pick<RetryConfig, 'budgetPercent' | 'minPerSecond'>

const windowSeconds = 10

/**
 * Bounds retries by the traffic, as Finagle and Envoy do: when every backend fails, retrying each request would double
 * the load of those that are still there. Counted in buckets of one second, for one process.
 */
export class RetryBudget {
  readonly #clock: Clock
  #share: RetryShare
  readonly #requests = new Uint32Array(windowSeconds)
  readonly #retries = new Uint32Array(windowSeconds)
  #requestsInAll = 0
  #retriesInAll = 0
  #second: number
  #slot = 0

  constructor(share: RetryShare, clock: Clock = monotonicClock) {
    this.#share = share
    this.#clock = clock
    this.#second = this.#currentSecond()
  }

  configure(share: RetryShare): void {
    this.#share = share
  }

  /** Counts one request, whatever becomes of it. */
  request(): void {
    this.#advance()
    this.#requests[this.#slot]! += 1
    this.#requestsInAll += 1
  }

  /**
   * Takes one retry if there may be one: within `budgetPercent` of the requests of the last ten seconds, or among the
   * first `minPerSecond` of this second.
   */
  take(): boolean {
    this.#advance()
    const { budgetPercent, minPerSecond } = this.#share
    const isWithinShare = (this.#retriesInAll + 1) * 100 <= this.#requestsInAll * budgetPercent
    if (!isWithinShare && this.#retries[this.#slot]! >= minPerSecond) return false
    this.#retries[this.#slot]! += 1
    this.#retriesInAll += 1
    return true
  }

  #currentSecond(): number {
    return Math.floor(this.#clock.nowMs() / 1000)
  }

  /** Empties the buckets of the seconds that have begun since. */
  #advance(): void {
    const second = this.#currentSecond()
    for (let left = Math.min(second - this.#second, windowSeconds); left > 0; left -= 1) {
      this.#slot = (this.#slot + 1) % windowSeconds
      this.#requestsInAll -= this.#requests[this.#slot]!
      this.#retriesInAll -= this.#retries[this.#slot]!
      this.#requests[this.#slot] = 0
      this.#retries[this.#slot] = 0
    }
    this.#second = second
  }
}
