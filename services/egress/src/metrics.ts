import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { Metrics } from '@ipfleet/telemetry/metrics.ts'
import type { ClientLimits } from './limits/client-limits.ts'
import type { RequestRecord, SourceUse } from './proxy/request-record.ts'
import type { SourceStatus } from './sources/live-source-pool.ts'

export interface MetricsDeps {
  readonly record: RequestRecord
  readonly limits: ClientLimits
  readonly openTunnels: () => number
  readonly openConnections: () => number
  readonly sources: () => readonly SourceStatus[]
  readonly link: RedisLink | undefined
}

/** Registers what is read at each scrape. What IP_POOL lists is a small and closed set, so it may label metrics. */
export function registerMetrics(metrics: Metrics, deps: MetricsDeps): void {
  sourceMetrics(metrics, deps)
  requestMetrics(metrics, deps)
}

function sourceMetrics(metrics: Metrics, { record, sources }: MetricsDeps): void {
  const bySource = (name: string, help: string, valueOf: (use: SourceUse) => number): void =>
    counter(metrics, name, help, 'source', () => Array.from(record.uses, ([source, use]) => [source, valueOf(use)]))
  bySource('ipfleet_egress_source_requests_total', 'Requests by source address.', (use) => use.requests)
  bySource('ipfleet_egress_source_failures_total', 'Of them, those that failed.', (use) => use.failures)
  bySource('ipfleet_egress_source_connects_total', 'Connections made by source address.', (use) => use.connects)
  bySource('ipfleet_egress_source_connect_seconds_total', 'Time to make them.', (use) => use.connectMs / 1000)
  metrics.counter({
    name: 'ipfleet_egress_source_bytes_total',
    help: 'Bytes of closed tunnels by source address and direction.',
    labelNames: ['source', 'direction'],
    collect() {
      this.reset()
      for (const [source, { bytesUp, bytesDown }] of record.uses) {
        this.inc({ source, direction: 'up' }, bytesUp)
        this.inc({ source, direction: 'down' }, bytesDown)
      }
    },
  })
  metrics.gauge({
    name: 'ipfleet_egress_source_tunnels',
    help: 'Open tunnels by source address.',
    labelNames: ['source'],
    collect() {
      this.reset()
      for (const [source, { openTunnels }] of record.uses) this.set({ source }, openTunnels)
    },
  })
  metrics.gauge({
    name: 'ipfleet_egress_source_up',
    help: 'Whether a source address is in rotation.',
    labelNames: ['source'],
    collect() {
      this.reset()
      for (const { listedAs, isUp } of sources()) this.set({ source: listedAs }, isUp ? 1 : 0)
    },
  })
}

function requestMetrics(metrics: Metrics, { record, limits, openTunnels, openConnections, link }: MetricsDeps): void {
  gauge(metrics, 'ipfleet_egress_open_tunnels', 'Tunnels that stand.', openTunnels)
  gauge(metrics, 'ipfleet_egress_open_connections', 'Connections of clients, tunnels included.', openConnections)
  gauge(metrics, 'ipfleet_egress_redis_up', 'Whether Redis is there.', () => (link?.up === true ? 1 : 0))
  counter(metrics, 'ipfleet_egress_tunnels_ended_total', 'Tunnels that have ended, by reason.', 'end', () =>
    Object.entries(record.tunnelsEnded),
  )
  const refusalsHelp = 'Requests that ended here, by the error of Proxy-Status (RFC 9209).'
  counter(metrics, 'ipfleet_egress_refusals_total', refusalsHelp, 'error', () => record.refusals)
  const decisionsHelp = 'Requests by what the rate limiter said.'
  const decisions = (): Counts => Object.entries(limits.counts)
  counter(metrics, 'ipfleet_egress_limiter_decisions_total', decisionsHelp, 'decision', decisions)
}

/** Of one label: its values, and the count of each. */
type Counts = Iterable<readonly [value: string, count: number]>

function counter(metrics: Metrics, name: string, help: string, label: string, counts: () => Counts): void {
  metrics.counter({
    name,
    help,
    labelNames: [label],
    collect() {
      this.reset()
      for (const [value, count] of counts()) this.inc({ [label]: value }, count)
    },
  })
}

function gauge(metrics: Metrics, name: string, help: string, value: () => number): void {
  metrics.gauge({
    name,
    help,
    collect() {
      this.set(value())
    },
  })
}
