import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'

export interface Progress {
  /** Result lines that are written, including those of an earlier run. */
  readonly done: number
  readonly total: number | undefined
  /** The total is estimated by the part of the list that is read. */
  readonly isEstimate: boolean
  /** Lines a second, in the last seconds. */
  readonly rate: number
  readonly etaSeconds: number | undefined
  /** Lines for which upstream was not asked. */
  readonly cached: number
  /** Lines without a record, by code. */
  readonly errors: Readonly<Record<string, number>>
}

/** Counts of lines: those of a batch, or of a whole job. */
export interface LineTally {
  readonly answered: number
  readonly cached: number
  readonly errors: Readonly<Record<string, number>>
}

const rateWindowMs = 10_000
const sampleEveryMs = 250

export class Tally {
  readonly #clock: Clock
  readonly #startedMs: number
  readonly #before: number
  readonly #samples: { readonly atMs: number; readonly done: number }[]
  #done: number
  #total: number | undefined
  #isEstimate = false
  /** Set for a job, which the fleet counts. */
  counts: LineTally

  /**
   * @param before lines that an earlier run has written
   * @param counts of these, if they are known
   */
  constructor(
    before: number,
    counts: LineTally = { answered: 0, cached: 0, errors: {} },
    clock: Clock = monotonicClock,
  ) {
    this.counts = counts
    this.#clock = clock
    this.#before = before
    this.#done = before
    this.#startedMs = clock.nowMs()
    this.#samples = [{ atMs: this.#startedMs, done: before }]
  }

  get done(): number {
    return this.#done
  }

  /** Since the start of this run. */
  get seconds(): number {
    return (this.#clock.nowMs() - this.#startedMs) / 1000
  }

  get meanRate(): number {
    return (this.#done - this.#before) / Math.max(this.seconds, 0.001)
  }

  wrote(lines: number): void {
    this.#done += lines
    const atMs = this.#clock.nowMs()
    const last = this.#samples.at(-1)
    if (last && atMs - last.atMs < sampleEveryMs) return
    this.#samples.push({ atMs, done: this.#done })
    while (this.#samples.length > 2 && atMs - (this.#samples[0]?.atMs ?? atMs) > rateWindowMs) this.#samples.shift()
  }

  expect(lines: number, isEstimate = false): void {
    this.#total = lines
    this.#isEstimate = isEstimate
  }

  add({ answered, cached, errors }: LineTally): void {
    const sum = { ...this.counts.errors }
    for (const [code, count] of Object.entries(errors)) sum[code] = (sum[code] ?? 0) + count
    this.counts = { answered: this.counts.answered + answered, cached: this.counts.cached + cached, errors: sum }
  }

  progress(): Progress {
    const { cached, errors } = this.counts
    const rate = this.#rate()
    const left = this.#total === undefined ? undefined : Math.max(0, this.#total - this.#done)
    const etaSeconds = left === 0 ? 0 : left === undefined || rate === 0 ? undefined : Math.ceil(left / rate)
    return { done: this.#done, total: this.#total, isEstimate: this.#isEstimate, rate, etaSeconds, cached, errors }
  }

  #rate(): number {
    const nowMs = this.#clock.nowMs()
    const first = this.#samples.find(({ atMs }) => nowMs - atMs <= rateWindowMs) ?? this.#samples.at(-1)
    if (first === undefined || nowMs <= first.atMs) return 0
    return (this.#done - first.done) / Math.max((nowMs - first.atMs) / 1000, 0.001)
  }
}

export function errorLines(errors: Readonly<Record<string, number>>): number {
  return Object.values(errors).reduce((sum, count) => sum + count, 0)
}
