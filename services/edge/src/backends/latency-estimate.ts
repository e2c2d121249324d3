import type { Clock } from '@ipfleet/core/clock.ts'

/** Buckets for each doubling, from a quarter of a millisecond on: an estimate is high by at most a fifth. */
const perDoubling = 4
const minDurationMs = 0.25
const buckets = 80
/** Half of what was seen is forgotten in this time. */
const halveEveryMs = 10_000
const minSamples = 50
/** Before enough was seen. */
const unknownMs = 1000
const percentile = 0.99
const factor = 3
const minMs = 250
const maxMs = 5000

/**
 * How long an answer is worth waiting for before another backend is asked too: three times the 99th percentile of the
 * last times to an answer, at least 250 ms and at most 5 s; 1 s as long as fewer than 50 are known.
 */
export class LatencyEstimate {
  readonly #clock: Clock
  readonly #counts = new Float64Array(buckets)
  #total = 0
  #halvedMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#halvedMs = clock.nowMs()
  }

  add(durationMs: number): void {
    this.#forget()
    const at = Math.floor(Math.log2(Math.max(durationMs, minDurationMs) / minDurationMs) * perDoubling)
    this.#counts[Math.min(at, buckets - 1)]! += 1
    this.#total += 1
  }

  hedgeAfterMs(): number {
    this.#forget()
    if (this.#total < minSamples) return unknownMs
    return Math.min(maxMs, Math.max(minMs, factor * this.#percentileMs()))
  }

  #percentileMs(): number {
    let left = this.#total * percentile
    for (const [at, count] of this.#counts.entries()) {
      left -= count
      if (left <= 0) return minDurationMs * 2 ** ((at + 1) / perDoubling)
    }
    return maxMs
  }

  #forget(): void {
    const nowMs = this.#clock.nowMs()
    const halvings = Math.floor((nowMs - this.#halvedMs) / halveEveryMs)
    if (halvings < 1) return
    this.#halvedMs += halvings * halveEveryMs
    const kept = 0.5 ** halvings
    for (const at of this.#counts.keys()) this.#counts[at]! *= kept
    this.#total *= kept
  }
}
