/**
 * Metrics for the path that answers in microseconds. prom-client's own `inc` and `observe` hash their labels at each
 * call, over 1 µs; these bind a set of labels once and then add to a number in an array.
 *
 * Labels come from closed sets that are named when the metric is made, so a series too many cannot happen.
 */

/** Label names, each with all values it may take. */
export type LabelSets = Readonly<Record<string, readonly string[]>>
type LabelsOf<S extends LabelSets> = { readonly [K in keyof S]: S[K][number] }

export interface HotMetricOptions<S extends LabelSets> {
  readonly name: string
  readonly help: string
  readonly labels: S
}

/** The part of a prom-client metric that its registry calls (prom-client 15.1.3, lib/registry.js). */
interface Scraped {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly aggregator: 'sum'
  readonly values: readonly { metricName: string; labels: Record<string, string | number>; value: number }[]
}

/** One metric: a series for each set of labels, made when it is first asked for. */
abstract class HotMetric<S extends LabelSets, Series extends { reset(): void }> {
  readonly name: string
  readonly help: string
  readonly labelNames: readonly string[]
  abstract readonly type: 'counter' | 'histogram'
  readonly #sets: readonly (readonly [label: string, values: readonly string[]])[]
  readonly #make: (labels: Record<string, string>) => Series
  readonly #series = new Map<number, Series>()

  constructor({ name, help, labels }: HotMetricOptions<S>, make: (labels: Record<string, string>) => Series) {
    this.name = name
    this.help = help
    this.labelNames = Object.keys(labels)
    this.#sets = Object.entries(labels)
    this.#make = make
    // Without labels there is one series, and it is shown before anything was counted.
    if (this.labelNames.length === 0) this.series({} as LabelsOf<S>)
  }

  /** The series of these labels; keep it where speed matters. Throws a RangeError for a value outside its set. */
  series(labels: LabelsOf<S>): Series {
    let index = 0
    for (const [label, values] of this.#sets) {
      const value = labels[label] ?? ''
      const at = values.indexOf(value)
      if (at < 0) throw new RangeError(`${this.name}: ${label}="${value}" is none of ${values.join(', ')}`)
      index = index * values.length + at
    }
    const known = this.#series.get(index)
    if (known !== undefined) return known
    const made = this.#make({ ...labels })
    this.#series.set(index, made)
    return made
  }

  reset(): void {
    for (const series of this.#series.values()) series.reset()
  }

  get(): Promise<Scraped> {
    const values = [...this.#series.values()].flatMap((series) => this.valuesOf(series))
    return Promise.resolve({ name: this.name, help: this.help, type: this.type, aggregator: 'sum', values })
  }

  protected abstract valuesOf(series: Series): Scraped['values']
}

/** A counter with its labels already chosen. */
class CounterSeries {
  readonly labels: Record<string, string>
  value = 0

  constructor(labels: Record<string, string>) {
    this.labels = labels
  }

  inc(by = 1): void {
    this.value += by
  }

  reset(): void {
    this.value = 0
  }
}

/** Counts events by labels from closed sets. */
export class HotCounter<const S extends LabelSets> extends HotMetric<S, CounterSeries> {
  readonly type = 'counter'

  constructor(options: HotMetricOptions<S>) {
    super(options, (labels) => new CounterSeries(labels))
  }

  protected valuesOf({ labels, value }: CounterSeries): Scraped['values'] {
    return [{ metricName: this.name, labels, value }]
  }
}

/** A histogram with its labels already chosen. */
export class HistogramSeries {
  readonly labels: Record<string, string>
  readonly #boundsMs: Float64Array
  /** One count per bound, not cumulated, and one for what lies above the last. */
  readonly counts: Float64Array
  sumMs = 0

  constructor(labels: Record<string, string>, boundsMs: Float64Array) {
    this.labels = labels
    this.#boundsMs = boundsMs
    this.counts = new Float64Array(boundsMs.length + 1)
  }

  /** Counts a duration in milliseconds. What is not a duration (NaN, negative) is not counted. */
  observeMs(durationMs: number): void {
    if (!(durationMs >= 0)) return
    const bounds = this.#boundsMs
    let bucket = 0
    while (bucket < bounds.length && durationMs > (bounds[bucket] ?? Infinity)) bucket += 1
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1
    this.sumMs += durationMs
  }

  reset(): void {
    this.counts.fill(0)
    this.sumMs = 0
  }
}

export interface HotHistogramOptions<S extends LabelSets> extends HotMetricOptions<S> {
  /** Upper bounds in milliseconds, rising. They are shown in seconds, as Prometheus asks. */
  readonly bucketsMs?: readonly number[]
}

/** From an answer out of memory to an upstream that hangs until the deadline. */
const defaultBucketsMs = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]

/** Durations by labels from closed sets. Taken in milliseconds, shown in seconds. */
export class HotHistogram<const S extends LabelSets> extends HotMetric<S, HistogramSeries> {
  readonly type = 'histogram'
  readonly #bounds: readonly number[]

  constructor(options: HotHistogramOptions<S>) {
    if (!options.name.endsWith('_seconds')) throw new RangeError(`${options.name}: a duration's name ends in _seconds`)
    const boundsMs = Float64Array.from(options.bucketsMs ?? defaultBucketsMs)
    super(options, (labels) => new HistogramSeries(labels, boundsMs))
    this.#bounds = Array.from(boundsMs, inSeconds)
  }

  protected valuesOf({ labels, counts, sumMs }: HistogramSeries): Scraped['values'] {
    let count = 0
    const buckets = Array.from(counts, (inBucket, index) => {
      count += inBucket
      const le = this.#bounds[index] ?? '+Inf'
      return { metricName: `${this.name}_bucket`, labels: { ...labels, le }, value: count }
    })
    return [
      ...buckets,
      { metricName: `${this.name}_sum`, labels, value: inSeconds(sumMs) },
      { metricName: `${this.name}_count`, labels, value: count },
    ]
  }
}

/** Milliseconds in seconds, without the noise of the division (0.3 / 1000 = 0.00029999999999999997). */
function inSeconds(durationMs: number): number {
  return Number((durationMs / 1000).toPrecision(12))
}
