import { setTimeout as sleep } from 'node:timers/promises'
import { between } from '@ipfleet/core/jitter.ts'
import { within } from '@ipfleet/core/within.ts'

const pollMs = { min: 30, max: 90 }

/** Those who look, by product. */
export type TrialLooks = Map<string, PromiseWithResolvers<void>>

/**
 * A request's wait for the trial of a key. Of all that wait for one of the same product one looks again and again; the
 * others look when that one has ended. A hundred that did so by themselves would be two thousand commands a second.
 */
export class TrialLook {
  readonly #all: TrialLooks
  readonly #product: string
  #own: PromiseWithResolvers<void> | undefined

  constructor(all: TrialLooks, product: string) {
    this.#all = all
    this.#product = product
  }

  /** Until it is worth to look again. */
  async pause(maxMs: number): Promise<void> {
    const other = this.#own ? undefined : this.#all.get(this.#product)
    if (other) await within(maxMs, other.promise)
    else {
      this.#own ??= Promise.withResolvers()
      this.#all.set(this.#product, this.#own)
      await sleep(Math.min(between(pollMs.min, pollMs.max), maxMs))
    }
  }

  end(): void {
    if (this.#own === undefined) return
    this.#all.delete(this.#product)
    this.#own.resolve()
  }
}
