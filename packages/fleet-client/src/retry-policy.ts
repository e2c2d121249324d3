import { setTimeout as sleep } from 'node:timers/promises'
import { defaultBackoff, exponentialMs } from '@ipfleet/core/backoff.ts'
import { between } from '@ipfleet/core/jitter.ts'
import { FleetFault } from './fleet-fault.ts'

/** Not now, but probably later. */
export interface Again {
  readonly kind: 'again'
  readonly why: string
  readonly retryAfterMs?: number | undefined
  /** There was progress before, so that it counts as the first failure. */
  readonly isFirst?: boolean
}

export type Attempt<T> = { readonly kind: 'done'; readonly value: T } | Again

/** With the default backoff, these bridge an outage of some minutes. */
const maxFailures = 25
/** Of a server's Retry-After; benched keys may be out for an hour. */
const maxRetryAfterMs = 3_600_000

/** Statuses after which the same request may succeed. */
export function isPassing(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501)
}

/** Exponential with full jitter, so that clients of one outage do not come back together; never before `Retry-After`. */
export function pauseMs(failures: number, retryAfterMs = 0, random?: () => number): number {
  return Math.min(retryAfterMs, maxRetryAfterMs) + between(0, exponentialMs(failures, defaultBackoff), random)
}

const sleepFor = (ms: number, signal: AbortSignal): Promise<unknown> => sleep(ms, undefined, { signal })

/**
 * Retries until an attempt succeeds, and reports when an outage begins and ends: once for all requests of a run, which
 * fail together.
 */
export class RetryPolicy {
  readonly #signal: AbortSignal
  readonly #note: (text: string) => void
  readonly #wait: typeof sleepFor
  #isOut = false

  constructor(signal: AbortSignal, note: (text: string) => void, wait = sleepFor) {
    this.#signal = signal
    this.#note = note
    this.#wait = wait
  }

  /**
   * @param signal ends the waiting; default: that of the run
   * @throws FleetFault after 25 failures in a row; the signal's reason when it aborts
   */
  async retry<T>(attempt: () => Promise<Attempt<T>>, signal = this.#signal): Promise<T> {
    for (let failures = 1; ; failures++) {
      const outcome = await attempt()
      if (outcome.kind === 'done') {
        this.succeeded()
        return outcome.value
      }
      if (outcome.isFirst) failures = 1
      if (failures >= maxFailures) throw new FleetFault(`${outcome.why}; given up after ${maxFailures} tries`)
      await this.#pause(outcome.why, pauseMs(failures, outcome.retryAfterMs), signal)
    }
  }

  succeeded(): void {
    if (this.#isOut) this.#note('the fleet answers again')
    this.#isOut = false
  }

  async #pause(why: string, ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#isOut) this.#note(`${why}; trying again${ms >= 2000 ? ` in ${Math.ceil(ms / 1000)} s` : ''}`)
    this.#isOut = true
    await this.#wait(ms, signal)
  }
}
