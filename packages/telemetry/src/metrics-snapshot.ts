import { AggregatorRegistry, type Registry } from 'prom-client'

/** One metric with its values at a moment. `aggregator` says how those of several processes become one. */
export interface MetricSnapshot {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly aggregator: string
  readonly values: readonly ValueSnapshot[]
}

interface ValueSnapshot {
  /** Of a histogram: which of its series this is, `…_bucket`, `…_sum` or `…_count`. */
  readonly metricName?: string
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
}

/** What a registry says at a moment, as plain data for another process. A structured clone keeps all of it. */
export type MetricsSnapshot = readonly MetricSnapshot[]

/** Everything in a registry, with what is read only when it is scraped. */
export async function takeSnapshot(registry: Registry): Promise<MetricsSnapshot> {
  const metrics = await registry.getMetricsAsJSON()
  return metrics.map(({ name, help, type, aggregator, values }) => ({
    name,
    help,
    type: String(type),
    aggregator,
    // A lag that was not measured yet is NaN, and would make the average of all processes NaN.
    values: values.flatMap((value) => (Number.isNaN(value.value) ? [] : [plainValue(value)])),
  }))
}

function plainValue({ labels, value, ...rest }: ValueSnapshot | { labels: object; value: number }): ValueSnapshot {
  const series = { labels: { ...labels }, value }
  return 'metricName' in rest && rest.metricName !== undefined ? { metricName: rest.metricName, ...series } : series
}

/**
 * Several processes as one: counters and histograms are added, gauges become what their `aggregator` says (added,
 * unless told otherwise), and some (`omit`, such as the start time of a process) have no meaning for several.
 */
export function sumSnapshots(snapshots: readonly MetricsSnapshot[]): MetricsSnapshot {
  // prom-client 15.1.3 (lib/cluster.js) keeps the values of a sum on the metric itself, beside its asynchronous `get`.
  const metrics = aggregated(snapshots).getMetricsAsArray() as unknown as MetricsSnapshot
  return metrics.map(({ name, help, type, aggregator, values }) => ({ name, help, type, aggregator, values }))
}

/** What stays true of a process that has ended: what it has counted, not how things stood with it. */
export function countedIn(snapshot: MetricsSnapshot): MetricsSnapshot {
  return snapshot.filter(({ type }) => type === 'counter' || type === 'histogram')
}

/** prom-client 15 groups by metric, series and labels; a hot metric's series have the same labels in each process. */
function aggregated(snapshots: readonly MetricsSnapshot[]): Registry {
  return AggregatorRegistry.aggregate([...snapshots])
}
