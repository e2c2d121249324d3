import { version } from '@ipfleet/settings/version.ts'
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import type { CounterConfiguration, GaugeConfiguration, HistogramConfiguration, Metric } from 'prom-client'
import { type Exposition, type ExpositionFormat, exposition } from './exposition.ts'
import { HotCounter, HotHistogram } from './hot-metrics.ts'
import type { HotHistogramOptions, HotMetricOptions, LabelSets } from './hot-metrics.ts'
import { type MetricsSnapshot, takeSnapshot } from './metrics-snapshot.ts'

/** What a service counts and how it is read. Labels come from closed sets, never an address, a path or a key. */
export interface Metrics {
  readonly registry: Registry
  /** Everything as text. Default: in Prometheus' own format. */
  render(format?: ExpositionFormat): Promise<Exposition>
  /** Everything as plain data, to be added to that of other processes. */
  snapshot(): Promise<MetricsSnapshot>
  counter<L extends string>(options: Omit<CounterConfiguration<L>, 'registers'>): Counter<L>
  gauge<L extends string>(options: Omit<GaugeConfiguration<L>, 'registers'>): Gauge<L>
  histogram<L extends string>(options: Omit<HistogramConfiguration<L>, 'registers'>): Histogram<L>
  /** For the hot path: ~10 ns an event. */
  hotCounter<const S extends LabelSets>(options: HotMetricOptions<S>): HotCounter<S>
  /** For the hot path: ~20 ns an event. Its name ends in `_seconds`. */
  hotHistogram<const S extends LabelSets>(options: HotHistogramOptions<S>): HotHistogram<S>
}

/**
 * A registry of its own. `defaultMetrics` adds those of the process: CPU, memory, event-loop lag, collections, and which
 * version it runs.
 */
export function createMetrics({ defaultMetrics = true }: { readonly defaultMetrics?: boolean } = {}): Metrics {
  const registry = new Registry()
  if (defaultMetrics) {
    collectDefaultMetrics({ register: registry })
    registerBuildInfo(registry)
  }
  const registers = [registry]
  return {
    registry,
    render: async (format) => exposition(await takeSnapshot(registry), format),
    snapshot: () => takeSnapshot(registry),
    counter: (options) => new Counter({ ...options, registers }),
    gauge: (options) => new Gauge({ ...options, registers }),
    histogram: (options) => new Histogram({ ...options, registers }),
    hotCounter: (options) => registered(registry, new HotCounter(options)),
    hotHistogram: (options) => registered(registry, new HotHistogram(options)),
  }
}

/** In the form of Prometheus' own `prometheus_build_info`: always 1, to be joined with other metrics. */
function registerBuildInfo(registry: Registry): void {
  const info = new Gauge({
    name: 'ipfleet_build_info',
    help: 'Always 1; its labels say which version runs, and on which Node.',
    labelNames: ['version', 'node_version'],
    registers: [registry],
    aggregator: 'first',
  })
  info.set({ version, node_version: process.versions.node }, 1)
}

/** prom-client 15 types its registry by its own four classes and uses only `name`, `get` and `reset` of them. */
function registered<M extends { readonly name: string; get(): Promise<unknown>; reset(): void }>(
  registry: Registry,
  metric: M,
): M {
  registry.registerMetric(metric as unknown as Metric)
  return metric
}
