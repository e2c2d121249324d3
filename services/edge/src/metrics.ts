import type { Tunnels } from '@ipfleet/proxy/http1/tunnels.ts'
import type { Metrics } from '@ipfleet/telemetry/metrics.ts'
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
  metrics.gauge({
    name: 'ipfleet_edge_open_connections',
    help: 'Connections of clients.',
    collect() {
      this.set(server.openConnections)
    },
  })
  metrics.gauge({
    name: 'ipfleet_edge_open_tunnels',
    help: 'Connections that were switched to another protocol, such as WebSocket.',
    collect() {
      this.set(tunnels.count)
    },
  })
  metrics.counter({
    name: 'ipfleet_edge_refused_connections_total',
    help: 'Connections closed at once because there were too many, in all or from one client.',
    collect() {
      this.reset()
      this.inc(server.refusedConnections)
    },
  })
}

function attemptMetrics(metrics: Metrics, { attempts, groups }: MetricsDeps): void {
  metrics.counter({
    name: 'ipfleet_edge_backend_requests_total',
    help: 'Attempts by backend and end: answered, failed, or unknown (the client left first).',
    labelNames: ['backend', 'end'],
    collect() {
      this.reset()
      for (const [backend, counts] of attempts.byBackend) {
        for (const [end, count] of Object.entries(counts)) this.inc({ backend, end }, count)
      }
    },
  })
  metrics.counter({
    name: 'ipfleet_edge_retries_total',
    help: 'Requests sent to another backend, by what had gone wrong.',
    labelNames: ['fault'],
    collect() {
      this.reset()
      for (const [fault, count] of attempts.retries) this.inc({ fault }, count)
    },
  })
  metrics.counter({
    name: 'ipfleet_edge_hedges_total',
    help: 'Requests asked of another backend too because the first was silent: begun, and won by the other.',
    labelNames: ['end'],
    collect() {
      this.reset()
      for (const [end, count] of Object.entries(attempts.hedges)) this.inc({ end }, count)
    },
  })
  metrics.counter({
    name: 'ipfleet_edge_ejections_total',
    help: 'Backends left alone for a while because of failures in a row, by group.',
    labelNames: ['group'],
    collect() {
      this.reset()
      for (const [group, count] of groups.ejections) this.inc({ group }, count)
    },
  })
}

function backendMetrics(metrics: Metrics, { groups }: MetricsDeps): void {
  metrics.gauge({
    name: 'ipfleet_edge_backend_connections',
    help: 'Connections to backends by state; waiting are requests without one.',
    labelNames: ['group', 'backend', 'state'],
    collect() {
      this.reset()
      for (const [group, live] of groups.all) {
        for (const { id: backend, open, idle, waiting } of live.snapshots()) {
          this.set({ group, backend, state: 'busy' }, open - idle)
          this.set({ group, backend, state: 'idle' }, idle)
          this.set({ group, backend, state: 'waiting' }, waiting)
        }
      }
    },
  })
  metrics.gauge({
    name: 'ipfleet_edge_backend_up',
    help: 'Processes of this edge that take the backend for usable.',
    labelNames: ['group', 'backend'],
    collect() {
      this.reset()
      for (const [group, live] of groups.all) {
        for (const { id: backend, state } of live.snapshots()) this.set({ group, backend }, state === 'up' ? 1 : 0)
      }
    },
  })
}

function shareMetrics(metrics: Metrics, { shares }: MetricsDeps): void {
  metrics.gauge({
    name: 'ipfleet_edge_long_answers',
    help: 'Event streams, tunnels, and uploads and answers that take over 5 s.',
    collect() {
      this.set(shares.longAnswers.taken)
    },
  })
  metrics.gauge({
    name: 'ipfleet_edge_held_bytes',
    help: 'Bytes of heads and collected bodies of requests under way.',
    collect() {
      this.set(shares.memory.taken)
    },
  })
  metrics.counter({
    name: 'ipfleet_edge_refused_requests_total',
    help: 'Requests refused because a limit was reached, by limit; of says whether all of it was taken or the share of the client.',
    labelNames: ['limit', 'of'],
    collect() {
      this.reset()
      for (const [limit, counts] of shares.refused) {
        for (const [of, count] of Object.entries(counts)) this.inc({ limit, of }, count)
      }
    },
  })
}

function limitMetrics(metrics: Metrics, { limits }: MetricsDeps): void {
  metrics.counter({
    name: 'ipfleet_edge_limiter_decisions_total',
    help: 'Requests by what the rate limiter said: allowed, limited, or exempt.',
    labelNames: ['decision'],
    collect() {
      this.reset()
      for (const [decision, count] of Object.entries(limits.counts)) this.inc({ decision }, count)
    },
  })
  metrics.gauge({
    name: 'ipfleet_edge_redis_up',
    help: 'Processes of this edge that reach Redis.',
    collect() {
      this.set(limits.link?.up === true ? 1 : 0)
    },
  })
}
