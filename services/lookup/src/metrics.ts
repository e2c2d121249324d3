import { leaseLosses } from '@ipfleet/cache/flight/fleet-flight.ts'
import type { LruStore } from '@ipfleet/cache/lru-store.ts'
import { spendable } from '@ipfleet/key-pool/quota.ts'
import type { OfflineDb } from '@ipfleet/offline/offline-db.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { Metrics } from '@ipfleet/telemetry/metrics.ts'
import { scrapedCounter, scrapedGauge } from '@ipfleet/telemetry/scraped-metrics.ts'
import type { Fleet } from './fleet/fleet.ts'
import type { Health } from './operations/health.ts'
import type { RequestRecord } from './operations/request-record.ts'
import type { UpstreamStack } from './upstream/upstream-stack.ts'

export interface MetricsDeps {
  readonly metrics: Metrics
  readonly record: RequestRecord
  readonly memory: LruStore
  readonly fleet: Fleet
  readonly upstream: UpstreamStack | undefined
  readonly health: Health
  /** Undefined where it answers nothing. */
  readonly offline: Pick<OfflineDb, 'builtAt'> | undefined
}

const breakerStates = { closed: 0, 'half-open': 1, open: 2 } as const

/** Everything that is measured besides requests: listens to the deps, or reads them when it is scraped. */
export function registerMetrics(deps: MetricsDeps): void {
  memoryMetrics(deps)
  savedCalls(deps)
  redisMetrics(deps)
  keyMetrics(deps)
  breakerMetrics(deps)
  offlineMetrics(deps)
}

function memoryMetrics({ metrics, memory }: MetricsDeps): void {
  scrapedGauge(metrics, 'ipfleet_l1_entries', 'Answers in memory.', () => memory.size)
  scrapedGauge(metrics, 'ipfleet_l1_bytes', 'Bytes of the bodies in memory.', () => memory.bytes)
  const evictionsHelp = 'Answers pushed out of memory by newer ones.'
  scrapedCounter(metrics, 'ipfleet_l1_evictions_total', evictionsHelp, () => memory.evictions)
}

function savedCalls({ metrics, record: { counts } }: MetricsDeps): void {
  const help = 'Requests that needed no upstream call of their own, by what spared it.'
  const saved = () => Object.entries({ l1: counts.l1, l2: counts.l2, coalescing: counts.collapsed })
  scrapedCounter(metrics, 'ipfleet_upstream_calls_saved_total', help, saved, 'by')
}

function redisMetrics({ metrics, fleet }: MetricsDeps): void {
  if (!fleet.redis) return
  const durations = metrics.hotHistogram({
    name: 'ipfleet_redis_command_duration_seconds',
    help: 'Time of a Redis command by server and outcome.',
    labels: { server: ['state', 'cache'], outcome: ['ok', 'failed'] },
  })
  const watch = (link: RedisLink, server: 'state' | 'cache'): void => {
    link.on('command', (durationMs, outcome) => durations.series({ server, outcome }).observeMs(durationMs))
  }
  const losses = metrics.counter({
    name: 'ipfleet_leases_lost_total',
    help: 'Loads that no lease guarded to the end, by how; each may have been one upstream call more than needed.',
    labelNames: ['how'],
  })
  for (const how of leaseLosses) losses.inc({ how }, 0)
  fleet.redis.flight.on('unguarded', (count, how) => losses.inc({ how }, count))
  watch(fleet.redis.state, 'state')
  if (fleet.redis.cache !== fleet.redis.state) watch(fleet.redis.cache, 'cache')
}

function keyMetrics({ metrics, health, upstream }: MetricsDeps): void {
  metrics.gauge({
    name: 'ipfleet_keys',
    help: 'Keys of the fleet by state.',
    labelNames: ['state'],
    async collect() {
      const { active, cooling } = await health.keys()
      this.set({ state: 'active' }, active)
      this.set({ state: 'cooling' }, cooling)
    },
  })
  if (!upstream) return
  const benches = metrics.counter({
    name: 'ipfleet_key_benches_total',
    help: 'Benches of keys by this replica, by reason.',
    labelNames: ['reason'],
  })
  metrics.gauge({
    name: 'ipfleet_key_quota_remaining',
    help: 'What each key has left of its quota, as far as it is known, by key id.',
    labelNames: ['key'],
    async collect() {
      this.reset()
      const quotas = await Promise.all(upstream.pools.map((pool) => pool.quotas()))
      for (const quota of quotas.flat()) {
        const remaining = spendable(quota)
        if (Number.isFinite(remaining)) this.set({ key: quota.id }, remaining)
      }
    },
  })
  const overage = metrics.counter({
    name: 'ipfleet_key_overage_units_total',
    help: 'Units beyond what a key’s plan pays for, which are billed, by key id.',
    labelNames: ['key'],
  })
  for (const pool of upstream.pools) {
    pool.on('overage', (key, units) => overage.inc({ key }, units))
    pool.on('benched', (_id, reason) => benches.inc({ reason }))
  }
  const calls = metrics.hotHistogram({
    name: 'ipfleet_upstream_duration_seconds',
    help: 'Time of an upstream call by outcome.',
    labels: { outcome: ['answered', 'limited', 'denied', 'failed'] },
  })
  for (const { client } of upstream.providers) {
    client.on('call', (durationMs, outcome) => calls.series({ outcome }).observeMs(durationMs))
  }
}

function breakerMetrics({ metrics, fleet, upstream }: MetricsDeps): void {
  metrics.gauge({
    name: 'ipfleet_breaker_state',
    help: 'Circuit breakers: 0 closed, 1 half-open, 2 open; those of upstream for each provider.',
    labelNames: ['breaker', 'provider'],
    collect() {
      for (const { name: provider, gate } of upstream?.providers ?? []) {
        this.set({ breaker: 'upstream', provider }, breakerStates[gate.state])
        for (const [product, state] of gate.states()) {
          this.set({ breaker: `upstream_${product}`, provider }, breakerStates[state])
        }
      }
      if (!fleet.redis) return
      this.set({ breaker: 'redis_state' }, fleet.redis.state.up ? 0 : 2)
      this.set({ breaker: 'redis_cache' }, fleet.redis.cache.up ? 0 : 2)
    },
  })
}

function offlineMetrics({ metrics, offline }: MetricsDeps): void {
  if (!offline) return
  const help = 'When the oldest of the embedded or offline data was built, in seconds since 1970.'
  const builtAt = (): number => offline.builtAt.getTime() / 1000
  scrapedGauge(metrics, 'ipfleet_offline_built_timestamp_seconds', help, builtAt)
}
