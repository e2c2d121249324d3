import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'

export interface Progress {
  /** Lines of results that are written, those of the run before included. */
  readonly done: number
  /** All lines; undefined as long as nobody knows. */
  readonly total: number | undefined
  /** The total is reckoned from how much of the list is read. */
  readonly isEstimate: boolean
  /** Lines a second, of late. */
  readonly rate: number
  readonly etaSeconds: number | undefined
  /** Lines that upstream was not asked for. */
  readonly cached: number
  /** Lines without a record, by why. */
  readonly errors: Readonly<Record<string, number>>
}

/** Counts of lines: those of a batch, or of a whole job. */
export interface LineTally {
  readonly answered: number
  readonly cached: number
  readonly errors: Readonly<Record<string, number>>
}

interface Sample {
  readonly atMs: number
  readonly done: number
}

/** The rate is that of the last seconds, so that it follows what happens now. */
const rateWindowMs = 10_000
const sampleEveryMs = 250

/** Where a run stands. */
export class Tally {
  readonly #clock: Clock
  readonly #startedMs: number
  readonly #before: number
  readonly #samples: Sample[]
  #done: number
  #total: { readonly lines: number; readonly isEstimate: boolean } | undefined
  #counts: LineTally

  /**
   * @param before lines that an earlier run has written
   * @param counts of them, if they are known
   */
  constructor(
    before: number,
    counts: LineTally = { answered: 0, cached: 0, errors: {} },
    clock: Clock = monotonicClock,
  ) {
    this.#counts = counts
    this.#clock = clock
    this.#before = before
    this.#done = before
    this.#startedMs = clock.nowMs()
    this.#samples = [{ atMs: this.#startedMs, done: before }]
  }

  get done(): number {
    return this.#done
  }

  get counts(): LineTally {
    return this.#counts
  }

  /** Since the start of this run. */
  get seconds(): number {
    return (this.#clock.nowMs() - this.#startedMs) / 1000
  }

  /** Over the whole of this run. */
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
    this.#total = { lines, isEstimate }
  }

  add({ answered, cached, errors }: LineTally): void {
    const sum = { ...this.#counts.errors }
    for (const [code, count] of Object.entries(errors)) sum[code] = (sum[code] ?? 0) + count
    this.#counts = {
      answered: this.#counts.answered + answered,
      cached: this.#counts.cached + cached,
      errors: sum,
    }
  }

  /** Instead of adding up, where somebody else counts. */
  set(counts: LineTally): void {
    this.#counts = counts
  }

  progress(): Progress {
    const rate = this.#rate()
    const total = this.#total
    const left = total === undefined ? undefined : Math.max(0, total.lines - this.#done)
    return {
      done: this.#done,
      total: total?.lines,
      isEstimate: total?.isEstimate ?? false,
      rate,
      etaSeconds: left === undefined || (rate === 0 && left > 0) ? undefined : left === 0 ? 0 : Math.ceil(left / rate),
      cached: this.#counts.cached,
      errors: this.#counts.errors,
    }
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
