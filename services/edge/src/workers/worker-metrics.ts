import type { Metrics } from '@ipfleet/telemetry/metrics.ts'

/** `count`: the workers that serve now. */
export function registerWorkerCount(metrics: Metrics, count: () => number): void {
  metrics.gauge({
    name: 'ipfleet_edge_workers',
    help: 'Processes that serve.',
    collect() {
      this.set(count())
    },
  })
}
