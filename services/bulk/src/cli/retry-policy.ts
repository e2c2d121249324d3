import { setTimeout as sleep } from 'node:timers/promises'
import { failure } from './command-fault.ts'
import { defaultBackoff, exponentialMs } from '@ipfleet/core/backoff.ts'
import { between } from '@ipfleet/core/jitter.ts'

/** Not now, but probably later. */
export interface Again {
  readonly kind: 'again'
  readonly why: string
  readonly retryAfterMs?: number | undefined
  /** Something was gained before, so that it counts as the first failure. */
  readonly isFirst?: boolean
}

/** What came of one try. */
export type Attempt<T> = { readonly kind: 'done'; readonly value: T } | Again

/** With the default backoff, an outage of some minutes is waited for. */
const maxFailures = 25
/** What a server may ask for at most; benched keys may be out for an hour. */
const maxRetryAfterMs = 3_600_000

/** Statuses after which the same request may well succeed. */
export function isPassing(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501)
}

/** Exponential with full jitter, so that clients of one outage do not come back together; never before `Retry-After`. */
export function pauseMs(failures: number, retryAfterMs = 0, random?: () => number): number {
  return Math.min(retryAfterMs, maxRetryAfterMs) + between(0, exponentialMs(failures, defaultBackoff), random)
}

type Wait = (ms: number, signal: AbortSignal) => Promise<unknown>

const sleepFor: Wait = (ms, signal) => sleep(ms, undefined, { signal })

/**
 * Tries again until it is done, and tells when an outage begins and ends. One for all requests of a run: they fail
 * together, and it is told once.
 */
export class RetryPolicy {
  readonly #signal: AbortSignal
  readonly #note: (text: string) => void
  readonly #wait: Wait
  #isOut = false

  constructor(signal: AbortSignal, note: (text: string) => void, wait: Wait = sleepFor) {
    this.#signal = signal
    this.#note = note
    this.#wait = wait
  }

  /**
   * @param signal ends the waiting, as the one of the whole run does
   * @throws CommandFault after 25 failures in a row; the signal's reason when it aborts
   */
  async retry<T>(attempt: () => Promise<Attempt<T>>, signal = this.#signal): Promise<T> {
    for (let failures = 1; ; failures++) {
      const outcome = await attempt()
      if (outcome.kind === 'done') {
        this.succeeded()
        return outcome.value
      }
      if (outcome.isFirst) failures = 1
      if (failures >= maxFailures) throw failure(`${outcome.why}; given up after ${maxFailures} tries`)
      await this.#pause(outcome.why, pauseMs(failures, outcome.retryAfterMs), signal)
    }
  }

  /** The fleet does what it is asked for. */
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
