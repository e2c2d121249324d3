import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { Metrics } from '@ipfleet/telemetry/metrics.ts'
import { scrapedCounter, scrapedGauge } from '@ipfleet/telemetry/scraped-metrics.ts'
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
    scrapedCounter(
      metrics,
      name,
      help,
      () => Array.from(record.uses, ([source, use]) => [source, valueOf(use)]),
      'source',
    )
  bySource('ipfleet_egress_source_requests_total', 'Requests by source address.', (use) => use.requests)
  bySource('ipfleet_egress_source_failures_total', 'Requests that failed, by source address.', (use) => use.failures)
  bySource('ipfleet_egress_source_connects_total', 'Connections made by source address.', (use) => use.connects)
  bySource(
    'ipfleet_egress_source_connect_seconds_total',
    'Time to make connections, by source address.',
    (use) => use.connectMs / 1000,
  )
  scrapedCounter(
    metrics,
    'ipfleet_egress_source_bytes_total',
    'Bytes of closed tunnels by source address and direction.',
    () =>
      [...record.uses].flatMap(([source, { bytesUp, bytesDown }]) => [
        [source, 'up', bytesUp] as const,
        [source, 'down', bytesDown] as const,
      ]),
    'source',
    'direction',
  )
  const tunnels = () => Array.from(record.uses, ([source, { openTunnels }]) => [source, openTunnels] as const)
  scrapedGauge(metrics, 'ipfleet_egress_source_tunnels', 'Open tunnels by source address.', tunnels, 'source')
  const up = () => sources().map(({ listedAs, isUp }) => [listedAs, isUp ? 1 : 0] as const)
  scrapedGauge(metrics, 'ipfleet_egress_source_up', 'Whether a source address is in rotation.', up, 'source')
}

function requestMetrics(metrics: Metrics, { record, limits, openTunnels, openConnections, link }: MetricsDeps): void {
  scrapedGauge(metrics, 'ipfleet_egress_open_tunnels', 'Tunnels that stand.', openTunnels)
  scrapedGauge(metrics, 'ipfleet_egress_open_connections', 'Connections of clients, tunnels included.', openConnections)
  scrapedGauge(metrics, 'ipfleet_egress_redis_up', 'Whether Redis is there.', () => (link?.up === true ? 1 : 0))
  const ended = () => Object.entries(record.tunnelsEnded)
  scrapedCounter(metrics, 'ipfleet_egress_tunnels_ended_total', 'Tunnels that have ended, by reason.', ended, 'end')
  const refusalsHelp = 'Requests that ended here, by the error of Proxy-Status (RFC 9209).'
  scrapedCounter(metrics, 'ipfleet_egress_refusals_total', refusalsHelp, () => record.refusals, 'error')
  const decisionsHelp = 'Requests by what the rate limiter said.'
  const decisions = () => Object.entries(limits.counts)
  scrapedCounter(metrics, 'ipfleet_egress_limiter_decisions_total', decisionsHelp, decisions, 'decision')
}
