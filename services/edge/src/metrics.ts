import type { Tunnels } from '@ipfleet/proxy/http1/tunnels.ts'
import type { Metrics } from '@ipfleet/telemetry/metrics.ts'
import { scrapedCounter, scrapedGauge } from '@ipfleet/telemetry/scraped-metrics.ts'
import type { ClientShares } from './limits/client-shares.ts'
import type { LimiterFactory } from './limits/limiter-factory.ts'
import type { AttemptsRecord } from './proxy/retries.ts'
import type { EdgeServer } from './server/edge-server.ts'
import type { UpstreamGroups } from './backends/upstream-groups.ts'

export interface MetricsDeps {
  readonly groups: UpstreamGroups
  readonly limits: LimiterFactory
  readonly tunnels: Tunnels
  readonly server: EdgeServer
  readonly attempts: AttemptsRecord
  readonly shares: ClientShares
}

/**
 * Read at each scrape. Backends are as many as the configuration and its names have addresses: a set that
 * operators close.
 */
export function registerMetrics(metrics: Metrics, deps: MetricsDeps): void {
  connectionMetrics(metrics, deps)
  attemptMetrics(metrics, deps)
  backendMetrics(metrics, deps)
  limitMetrics(metrics, deps)
  shareMetrics(metrics, deps)
}

function connectionMetrics(metrics: Metrics, { server, tunnels }: MetricsDeps): void {
  scrapedGauge(metrics, 'ipfleet_edge_open_connections', 'Connections of clients.', () => server.openConnections)
  const tunnelsHelp = 'Connections that were switched to another protocol, such as WebSocket.'
  scrapedGauge(metrics, 'ipfleet_edge_open_tunnels', tunnelsHelp, () => tunnels.count)
  const refusedHelp = 'Connections closed at once because there were too many, in all or from one client.'
  scrapedCounter(metrics, 'ipfleet_edge_refused_connections_total', refusedHelp, () => server.refusedConnections)
}

function attemptMetrics(metrics: Metrics, { attempts, groups }: MetricsDeps): void {
  scrapedCounter(
    metrics,
    'ipfleet_edge_backend_requests_total',
    'Attempts by backend and end: answered, failed, or unknown (the client left first).',
    () => byTwo(attempts.byBackend),
    'backend',
    'end',
  )
  const retriesHelp = 'Requests sent to another backend, by what had gone wrong.'
  scrapedCounter(metrics, 'ipfleet_edge_retries_total', retriesHelp, () => attempts.retries, 'fault')
  const hedgesHelp = 'Requests asked of another backend too because the first was silent: begun, and won by the other.'
  scrapedCounter(metrics, 'ipfleet_edge_hedges_total', hedgesHelp, () => Object.entries(attempts.hedges), 'end')
  const ejectionsHelp = 'Backends left alone for a while because of failures in a row, by group.'
  scrapedCounter(metrics, 'ipfleet_edge_ejections_total', ejectionsHelp, () => groups.ejections, 'group')
}

function backendMetrics(metrics: Metrics, { groups }: MetricsDeps): void {
  const snapshots = () =>
    Array.from(groups.all, ([group, live]) => live.snapshots().map((of) => ({ group, ...of }))).flat()
  scrapedGauge(
    metrics,
    'ipfleet_edge_backend_connections',
    'Connections to backends by state; waiting are requests without one.',
    () =>
      snapshots().flatMap(({ group, id, open, idle, waiting }) => [
        [group, id, 'busy', open - idle] as const,
        [group, id, 'idle', idle] as const,
        [group, id, 'waiting', waiting] as const,
      ]),
    'group',
    'backend',
    'state',
  )
  scrapedGauge(
    metrics,
    'ipfleet_edge_backend_up',
    'Processes of this edge that take the backend for usable.',
    () => snapshots().map(({ group, id, state }) => [group, id, state === 'up' ? 1 : 0] as const),
    'group',
    'backend',
  )
}

function shareMetrics(metrics: Metrics, { shares }: MetricsDeps): void {
  const longHelp = 'Event streams, tunnels, and uploads and answers that take over 5 s.'
  scrapedGauge(metrics, 'ipfleet_edge_long_answers', longHelp, () => shares.longAnswers.taken)
  const heldHelp = 'Bytes of heads and collected bodies of requests under way.'
  scrapedGauge(metrics, 'ipfleet_edge_held_bytes', heldHelp, () => shares.memory.taken)
  scrapedCounter(
    metrics,
    'ipfleet_edge_refused_requests_total',
    'Requests refused because a limit was reached, by limit; of says whether all of it was taken or the share of the client.',
    () => byTwo(shares.refused),
    'limit',
    'of',
  )
}

function limitMetrics(metrics: Metrics, { limits }: MetricsDeps): void {
  const decisionsHelp = 'Requests by what the rate limiter said: allowed, limited, or exempt.'
  const decisions = () => Object.entries(limits.counts)
  scrapedCounter(metrics, 'ipfleet_edge_limiter_decisions_total', decisionsHelp, decisions, 'decision')
  const redisHelp = 'Processes of this edge that reach Redis.'
  scrapedGauge(metrics, 'ipfleet_edge_redis_up', redisHelp, () => (limits.link?.up === true ? 1 : 0))
}

/** Counts by one label, and of each by another. */
function byTwo(counts: ReadonlyMap<string, Readonly<Record<string, number>>>): [string, string, number][] {
  return [...counts].flatMap(([one, by]) =>
    Object.entries(by).map(([other, count]): [string, string, number] => [one, other, count]),
  )
}
