import type { KeyPool } from '@ipfleet/key-pool/key-pool.ts'
import type { OfflineDb } from '@ipfleet/offline/offline-db.ts'
import { linkHealth, type LinkHealth } from '@ipfleet/redis/link-health.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { BreakerState } from '@ipfleet/upstream/fleet-breaker.ts'
import type { UpstreamGate } from '@ipfleet/upstream/upstream-gate.ts'
import { countKeys, type KeyCounts } from './stats.ts'

export type RedisState = 'up' | 'down' | 'off'

export interface HealthReport {
  /** `degraded`: answers may be missing or calls doubled; the replica serves what it can. */
  readonly status: 'ok' | 'degraded'
  /** Why it is degraded. */
  readonly reason?: string
  readonly keys: KeyCounts
  readonly redis: {
    readonly state: RedisState
    readonly cache: RedisState
    /** Of those that are no single server. */
    readonly links?: Readonly<Record<string, LinkHealth>>
    /** What is wrong with which of them, and since when. */
    readonly problems?: Readonly<Record<string, LinkHealth>>
  }
  /** The embedded database, where it may answer. */
  readonly offline?: OfflineHealth
  /** `embedded`: there are no keys, and no upstream is asked. */
  readonly upstream: { readonly breaker: BreakerState | 'embedded' }
}

export interface OfflineHealth {
  /** As the files name themselves. */
  readonly type: string
  /** The date of the oldest of its data: `2026-06-01`. */
  readonly built: string
  readonly age_days: number
  /** They are old enough to be wrong about networks that moved. */
  readonly warning?: string
  /** Why OFFLINE_DB_URL gave no newer ones at the last try of this replica. */
  readonly renewal_problem?: string
}

/** What is told of the embedded database. */
export interface OfflineData {
  readonly db: Pick<OfflineDb, 'type' | 'builtAt'>
  readonly renewalProblem: string | undefined
}

export interface HealthDeps {
  /** Of all providers. */
  readonly pools: readonly KeyPool[]
  readonly gate: UpstreamGate | undefined
  readonly offline?: OfflineData | undefined
  readonly redis: { readonly state: RedisLink; readonly cache: RedisLink } | undefined
}

/** What the replica knows of its own state. */
export class Health {
  /** Set when the process has been told to stop: load balancers should send nothing new. */
  draining = false
  readonly #deps: HealthDeps

  constructor(deps: HealthDeps) {
    this.#deps = deps
  }

  /** Undefined where no embedded database may answer. */
  get offline(): OfflineHealth | undefined {
    const { offline } = this.#deps
    return offline && offlineHealth(offline, Date.now())
  }

  async keys(): Promise<KeyCounts> {
    return countKeys((await Promise.all(this.#deps.pools.map((pool) => pool.read()))).flat())
  }

  async report(): Promise<HealthReport> {
    const { redis } = this.#deps
    const { offline } = this
    const keys = await this.keys()
    const breaker = this.#deps.gate?.state ?? 'embedded'
    const links = Object.entries(redis ?? {}).map(([name, link]) => ({ name, health: linkHealth(link) }))
    const troubled = links.filter(({ health }) => health.reason !== undefined)
    const grouped = links
      .filter(({ health }) => health.topology !== undefined)
      .map(({ name, health }) => [name, health])
    const reasons = [
      ...troubled.map(({ name, health }) => `redis ${name}: ${health.reason}`),
      ...(keys.total > 0 && keys.active === 0 ? ['all keys are benched'] : []),
      ...(breaker === 'open' ? ['upstream is given a pause'] : []),
    ]
    const problems = Object.fromEntries(troubled.map(({ name, health }) => [name, health]))
    return {
      status: reasons.length > 0 ? 'degraded' : 'ok',
      ...(reasons.length > 0 && { reason: reasons.join('; ') }),
      keys,
      redis: {
        state: redis ? linkHealth(redis.state).state : 'off',
        cache: redis ? linkHealth(redis.cache).state : 'off',
        ...(grouped.length > 0 && { links: Object.fromEntries(grouped) }),
        ...(troubled.length > 0 && { problems }),
      },
      ...(offline && { offline }),
      upstream: { breaker },
    }
  }
}

const dayMs = 86_400_000
const oldAfterDays = 120

/** @param nowMs by the wall clock */
function offlineHealth({ db: { type, builtAt }, renewalProblem }: OfflineData, nowMs: number): OfflineHealth {
  const days = Math.max(0, Math.floor((nowMs - builtAt.getTime()) / dayMs))
  return {
    type,
    built: builtAt.toISOString().slice(0, 10),
    age_days: days,
    ...(days > oldAfterDays && {
      warning: `the data are ${days} days old; set OFFLINE_DB or OFFLINE_DB_URL to newer ones`,
    }),
    ...(renewalProblem !== undefined && { renewal_problem: renewalProblem }),
  }
}
