import { KeyPool } from '@ipfleet/key-pool/key-pool.ts'
import { apiKey } from '@ipfleet/key-pool/api-key.ts'
import { UpstreamClient } from '@ipfleet/upstream/upstream-client.ts'
import { UpstreamGate } from '@ipfleet/upstream/upstream-gate.ts'
import type { FleetParts } from './fleet-parts.ts'
import { freshForMs, type FreshnessRules } from './freshness.ts'
import type { LookupSettings } from './settings.ts'
import { UpstreamLoader } from './upstream-loader.ts'

/** The way to upstream; there is none without keys. */
export interface UpstreamParts {
  readonly pool: KeyPool
  readonly client: UpstreamClient
  readonly gate: UpstreamGate
  readonly loader: UpstreamLoader
}

export function upstreamParts(settings: LookupSettings, fleet: FleetParts): UpstreamParts | undefined {
  if (settings.IPINFO_KEYS.length === 0) return undefined
  const concurrency = settings.UPSTREAM_CONCURRENCY
  const pool = new KeyPool(settings.IPINFO_KEYS.map(apiKey), fleet.keyStore, {
    cooldownMs: settings.COOLDOWN_SECONDS * 1000,
    quarantineMs: settings.QUARANTINE_SECONDS * 1000,
  })
  const client = new UpstreamClient({
    baseUrls: { legacy: settings.IPINFO_BASE_URL, api: settings.IPINFO_API_BASE_URL },
    userAgent: 'ipfleet',
    maxBodyBytes: settings.UPSTREAM_MAX_BODY_BYTES,
    maxSockets: concurrency,
  })
  const gate = new UpstreamGate({ concurrency, isAlone: () => fleet.redis !== undefined && !fleet.redis.state.up })
  const rules = freshnessRules(settings, fleet.redis !== undefined)
  const loader = new UpstreamLoader({
    pool,
    client,
    gate,
    freshForMs: (path, answer) => freshForMs(rules, path, answer),
    redactKeys: settings.REDACT_KEYS,
  })
  return { pool, client, gate, loader }
}

/** A replica on its own keeps answers for CACHE_TTL_SECONDS, whatever they tell: memory is all it has. */
function freshnessRules(settings: LookupSettings, isShared: boolean): FreshnessRules {
  const forAll = isShared ? settings.SHARED_CACHE_TTL_SECONDS : settings.CACHE_TTL_SECONDS
  return {
    geoTtlMs: (forAll ?? settings.GEO_TTL_SECONDS) * 1000,
    threatTtlMs: (forAll ?? settings.THREAT_TTL_SECONDS) * 1000,
    negativeTtlMs: settings.NEGATIVE_TTL_SECONDS * 1000,
    maxBodyBytes: settings.CACHE_MAX_BODY_BYTES,
  }
}
