import { setTimeout as sleep } from 'node:timers/promises'
import { backoffMs } from '@ipfleet/core/backoff.ts'

/** The fleet does not do what it is asked, and will not; with a message for the user, which holds no secret. */
export class FleetFault extends Error {
  override readonly name = 'FleetFault'
}

/** Not now, but probably later. */
export interface Again {
  readonly kind: 'again'
  readonly why: string
  readonly retryAfterMs?: number | undefined
  /** There was progress before, so that it counts as the first failure. */
  readonly isFirst?: boolean
}

export type Attempt<T> = { readonly kind: 'done'; readonly value: T } | Again

export interface RetryOptions {
  /** Default: those that bridge an outage of some minutes. */
  readonly maxFailures?: number
  /** Of a server's Retry-After. Default an hour: benched keys may be out for so long. */
  readonly maxRetryAfterMs?: number
  /** Called when an outage begins and ends: once for all requests of a run, which fail together. */
  readonly note?: (text: string) => void
  /** Default: waits. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<unknown>
}

/** Statuses after which the same request may succeed. */
export function isPassing(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501)
}

const sleepFor = (ms: number, signal: AbortSignal): Promise<unknown> => sleep(ms, undefined, { signal })

/** Retries what a fleet does not answer, after exponential pauses with jitter, and never before `Retry-After`. */
export class RetryPolicy {
  readonly #options: Required<RetryOptions>
  #isOut = false

  constructor(options: RetryOptions = {}) {
    this.#options = { maxFailures: 25, maxRetryAfterMs: 3_600_000, note: () => undefined, wait: sleepFor, ...options }
  }

  /** @throws FleetFault after too many failures in a row; the signal's reason when it aborts */
  async retry<T>(attempt: () => Promise<Attempt<T>>, signal: AbortSignal): Promise<T> {
    const { maxFailures, maxRetryAfterMs } = this.#options
    for (let failures = 1; ; failures++) {
      const outcome = await attempt()
      if (outcome.kind === 'done') {
        this.succeeded()
        return outcome.value
      }
      if (outcome.isFirst) failures = 1
      if (failures >= maxFailures) throw new FleetFault(`${outcome.why}; given up after ${maxFailures} tries`)
      const askedForMs = Math.min(outcome.retryAfterMs ?? 0, maxRetryAfterMs)
      await this.#pause(outcome.why, askedForMs + backoffMs(failures), signal)
    }
  }

  succeeded(): void {
    if (this.#isOut) this.#options.note('the fleet answers again')
    this.#isOut = false
  }

  async #pause(why: string, ms: number, signal: AbortSignal): Promise<void> {
    const when = ms >= 2000 ? ` in ${Math.ceil(ms / 1000)} s` : ''
    if (!this.#isOut) this.#options.note(`${why}; trying again${when}`)
    this.#isOut = true
    await this.#options.wait(ms, signal)
  }
}
