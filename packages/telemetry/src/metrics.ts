import { version } from '@ipfleet/settings/version.ts'
import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client'
import type { CounterConfiguration, GaugeConfiguration, Metric } from 'prom-client'
import { type ExpositionFormat, exposition } from './exposition.ts'
import { HotCounter, HotHistogram } from './hot-metrics.ts'
import type { HotHistogramOptions, HotMetricOptions, LabelSets } from './hot-metrics.ts'
import { takeSnapshot } from './metrics-snapshot.ts'

/** What a service counts and how it is read. Labels come from closed sets, never an address, a path or a key. */
export type Metrics = ReturnType<typeof createMetrics>

/** A registry of its own. `defaultMetrics` adds the process's: CPU, memory, event loop, collections, version. */
export function createMetrics({ defaultMetrics = true }: { readonly defaultMetrics?: boolean } = {}) {
  const registry = new Registry()
  if (defaultMetrics) {
    collectDefaultMetrics({ register: registry })
    registerBuildInfo(registry)
  }
  const registers = [registry]
  return {
    registry,
    /** Everything as text. Default: in Prometheus' own format. */
    render: async (format?: ExpositionFormat) => exposition(await takeSnapshot(registry), format),
    /** Everything as plain data, to be added to that of other processes. */
    snapshot: () => takeSnapshot(registry),
    counter: <L extends string>(options: Omit<CounterConfiguration<L>, 'registers'>) =>
      new Counter({ ...options, registers }),
    gauge: <L extends string>(options: Omit<GaugeConfiguration<L>, 'registers'>) =>
      new Gauge({ ...options, registers }),
    /** For the hot path: ~10 ns an event. */
    hotCounter: <const S extends LabelSets>(options: HotMetricOptions<S>) =>
      registered(registry, new HotCounter(options)),
    /** For the hot path: ~20 ns an event. Its name ends in `_seconds`. */
    hotHistogram: <const S extends LabelSets>(options: HotHistogramOptions<S>) =>
      registered(registry, new HotHistogram(options)),
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
