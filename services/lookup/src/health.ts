import type { KeyPool } from '@ipfleet/key-pool/key-pool.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { BreakerState } from '@ipfleet/upstream/fleet-breaker.ts'
import type { UpstreamGate } from '@ipfleet/upstream/upstream-gate.ts'
import { countKeys, type KeyCounts } from './stats.ts'

export type RedisState = 'up' | 'down' | 'off'

export interface HealthReport {
  /** `degraded`: answers may be missing or calls doubled; the replica serves what it can. */
  readonly status: 'ok' | 'degraded'
  readonly keys: KeyCounts
  readonly redis: { readonly state: RedisState; readonly cache: RedisState }
  /** `embedded`: there are no keys, and nobody is asked. */
  readonly upstream: { readonly breaker: BreakerState | 'embedded' }
}

export interface HealthParts {
  readonly pool: KeyPool | undefined
  readonly gate: UpstreamGate | undefined
  readonly redis: { readonly state: RedisLink; readonly cache: RedisLink } | undefined
}

/** What the replica knows of its own state. */
export class Health {
  /** Set when the process has been told to stop: load balancers should send nothing new. */
  draining = false
  readonly #parts: HealthParts

  constructor(parts: HealthParts) {
    this.#parts = parts
  }

  async keys(): Promise<KeyCounts> {
    return countKeys((await this.#parts.pool?.read()) ?? [])
  }

  async report(): Promise<HealthReport> {
    const { redis } = this.#parts
    const keys = await this.keys()
    const links = { state: stateOf(redis?.state), cache: stateOf(redis?.cache) }
    const breaker = this.#parts.gate?.state ?? 'embedded'
    const allCooling = keys.total > 0 && keys.active === 0
    const degraded = allCooling || links.state === 'down' || links.cache === 'down' || breaker === 'open'
    return { status: degraded ? 'degraded' : 'ok', keys, redis: links, upstream: { breaker } }
  }
}

function stateOf(link: RedisLink | undefined): RedisState {
  if (!link) return 'off'
  return link.up ? 'up' : 'down'
}
