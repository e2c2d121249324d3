import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { Metrics } from '@ipfleet/telemetry/metrics.ts'
import type { RequestRecord, SourceUse } from './proxy/request-record.ts'
import type { ClientLimits } from './limits/client-limits.ts'
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
  trafficMetrics(metrics, deps)
  decisionMetrics(metrics, deps)
}

function sourceMetrics(metrics: Metrics, { record, sources }: MetricsDeps): void {
  const bySource = (name: string, help: string, valueOf: (use: SourceUse) => number): void => {
    metrics.counter({
      name,
      help,
      labelNames: ['source'],
      collect() {
        this.reset()
        for (const [source, use] of record.uses) this.inc({ source }, valueOf(use))
      },
    })
  }
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

function trafficMetrics(metrics: Metrics, { record, openTunnels, openConnections }: MetricsDeps): void {
  metrics.gauge({
    name: 'ipfleet_egress_open_tunnels',
    help: 'Tunnels that stand.',
    collect() {
      this.set(openTunnels())
    },
  })
  metrics.gauge({
    name: 'ipfleet_egress_open_connections',
    help: 'Connections of clients, tunnels included.',
    collect() {
      this.set(openConnections())
    },
  })
  metrics.counter({
    name: 'ipfleet_egress_tunnels_ended_total',
    help: 'Tunnels that have ended, by reason.',
    labelNames: ['end'],
    collect() {
      this.reset()
      for (const [end, count] of Object.entries(record.tunnelsEnded)) this.inc({ end }, count)
    },
  })
}

function decisionMetrics(metrics: Metrics, { record, limits, link }: MetricsDeps): void {
  metrics.counter({
    name: 'ipfleet_egress_refusals_total',
    help: 'Requests that ended here, by the error of Proxy-Status (RFC 9209).',
    labelNames: ['error'],
    collect() {
      this.reset()
      for (const [error, count] of record.refusals) this.inc({ error }, count)
    },
  })
  metrics.counter({
    name: 'ipfleet_egress_limiter_decisions_total',
    help: 'Requests by what the rate limiter said.',
    labelNames: ['decision'],
    collect() {
      this.reset()
      for (const [decision, count] of Object.entries(limits.counts)) this.inc({ decision }, count)
    },
  })
  metrics.gauge({
    name: 'ipfleet_egress_redis_up',
    help: 'Whether Redis is there.',
    collect() {
      this.set(link?.up === true ? 1 : 0)
    },
  })
}
