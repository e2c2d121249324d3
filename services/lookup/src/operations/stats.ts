import type { LruStore } from '@ipfleet/cache/lru-store.ts'
import type { KeyState } from '@ipfleet/key-pool/key-store.ts'
import type { RequestRecord } from './request-record.ts'

export interface KeyCounts {
  readonly total: number
  readonly active: number
  readonly cooling: number
}

/** The counters of `GET /stats`. All are sums over requests since start, except `size` and `keys`. */
export interface Stats {
  readonly requests_total: number
  /** Needed upstream: asked by this request, or by one that it waited for. */
  readonly requests_proxied: number
  readonly requests_cached: number
  /** Calls that upstream did not answer usefully. */
  readonly upstream_errors: number
  /** Requests that found every key benched. */
  readonly keys_exhausted: number
  readonly cache: {
    readonly hits: number
    readonly misses: number
    readonly size: number
    readonly evictions: number
  }
  readonly keys: KeyCounts
}

export function countKeys(states: readonly KeyState[]): KeyCounts {
  const cooling = states.filter(({ state }) => state === 'cooling').length
  return { total: states.length, active: states.length - cooling, cooling }
}

export function statsOf(record: RequestRecord, memory: LruStore, upstreamErrors: number, keys: KeyCounts): Stats {
  const { l1, l2, stale, upstream, collapsed, bypass, error } = record.counts
  const cached = l1 + l2 + stale
  return {
    requests_total: record.total,
    requests_proxied: upstream + collapsed + bypass,
    requests_cached: cached,
    upstream_errors: upstreamErrors,
    keys_exhausted: record.keysExhausted,
    cache: { hits: cached, misses: upstream + collapsed + error, size: memory.size, evictions: memory.evictions },
    keys,
  }
}

/** One for the fleet: requests and sizes add up, keys are the same everywhere. `replicas`: how many were counted. */
export function sumStats(own: Stats, others: readonly Stats[]): Stats & { readonly replicas: number } {
  const all = [own, ...others]
  const sum = (pick: (stats: Stats) => number): number => all.reduce((total, stats) => total + pick(stats), 0)
  return {
    requests_total: sum((stats) => stats.requests_total),
    requests_proxied: sum((stats) => stats.requests_proxied),
    requests_cached: sum((stats) => stats.requests_cached),
    upstream_errors: sum((stats) => stats.upstream_errors),
    keys_exhausted: sum((stats) => stats.keys_exhausted),
    cache: {
      hits: sum((stats) => stats.cache.hits),
      misses: sum((stats) => stats.cache.misses),
      size: sum((stats) => stats.cache.size),
      evictions: sum((stats) => stats.cache.evictions),
    },
    keys: own.keys,
    replicas: all.length,
  }
}
