import type { KeyRow, KeyTest } from '@ipfleet/key-pool/key-row.ts'

/** What the page of the console reads and does. All is below `/console`, and JSON. Times are ISO 8601. Absent: not known. */

/**
 * `GET /console/api/session`; 401 without a session. `POST /console/session` with `{"token": "..."}` begins one (204 and
 * a cookie), `DELETE /console/session` ends it (204).
 */
export interface Session {
  readonly role: Role
  /** `loopback`: no login was needed. */
  readonly by: 'loopback' | 'token'
  /** Sent back in `X-CSRF-Token` by everything that changes something. */
  readonly csrf: string
  /** What stands behind this console. */
  readonly features: Features
  readonly version: string
}

/** `read` sees everything and changes nothing. */
export type Role = 'admin' | 'read'

export interface Features {
  /** The bulk service is reached at `/jobs` of the same origin, where there is one: it may come later. */
  readonly jobs: boolean
  readonly egress: boolean
  readonly edge: boolean
  readonly keys: boolean
  readonly redis: boolean
}

/** `GET /console/api/overview`, and every 2 s as the event `overview` of `GET /console/api/events`. */
export interface Overview {
  readonly at: string
  readonly verdict: Verdict
  readonly flow: Flow
  readonly keys: readonly ConsoleKey[]
  readonly replicas: readonly ServiceRow[]
  readonly redis: readonly RedisRow[]
  readonly breakers: readonly BreakerRow[]
  readonly backends: readonly BackendRow[]
  readonly clients: readonly ClientRow[]
  readonly sources: readonly SourceRow[]
}

/** One sentence: red with the reason of the most urgent trouble. `action`: the first thing to do, also on green. */
export interface Verdict {
  readonly state: 'green' | 'red'
  readonly sentence: string
  readonly action?: string
  /** Sentences about what is wrong besides. */
  readonly others: readonly string[]
}

/**
 * Look-ups, those of batches too, by what answered them. `upstream`: units; `offline`: the embedded database, and what is
 * known without any; `failed`: nothing did.
 */
export interface FlowCounts {
  readonly asked: number
  readonly memory: number
  readonly redis: number
  readonly coalesced: number
  readonly upstream: number
  readonly offline: number
  readonly failed: number
}

export interface FlowMinute extends FlowCounts {
  readonly at: string
}

/** The last hour: 61 minutes, the oldest first. */
export interface Flow {
  readonly minutes: readonly FlowMinute[]
  /** `saved`: upstream units. */
  readonly totals: FlowCounts & { readonly saved: number }
  /** Where UNIT_PRICE is set. */
  readonly money?: { readonly saved: number; readonly spent: number; readonly currency: string }
}

/** A row of `GET /keys`, and the forecast. */
export interface ConsoleKey extends KeyRow {
  /** When its quota will be used up, if it goes on as in the last hour, and not before it resets. */
  readonly emptyOn?: string
}

export type ServiceName = 'lookup' | 'edge' | 'egress' | 'bulk'

export interface ServiceRow {
  readonly id: string
  readonly service: ServiceName
  readonly version: string
  readonly startedAt: string
  readonly seenAt: string
  readonly state: 'ok' | 'degraded' | 'gone'
  readonly reason?: string
  readonly requestsPerSecond?: number
  readonly rssMb?: number
}

export interface RedisRow {
  readonly name: 'state' | 'cache'
  readonly state: 'up' | 'down' | 'off'
  readonly topology: string
  readonly latencyMs?: number
  readonly since?: string
  readonly reason?: string
}

export interface BreakerRow {
  readonly provider: string
  readonly state: 'closed' | 'open' | 'half-open'
  /** Upstream fails, or it limits the address of this fleet with whichever key. */
  readonly reason?: 'failing' | 'limited'
}

export interface BackendRow {
  readonly edge: string
  readonly group: string
  readonly address: string
  readonly state: 'up' | 'down' | 'draining'
  readonly inFlight: number
  readonly lastError?: string
  readonly lastErrorAt?: string
}

/** One budget of one client; a client without any has a row of its own. */
export interface ClientRow {
  /** The operator's name for it, or the beginning of a hash. */
  readonly id: string
  readonly budget?: 'requests' | 'units'
  readonly used?: number
  readonly limit?: number
  readonly resets?: string
}

export interface SourceRow {
  readonly egress: string
  readonly label: string
  readonly state: 'up' | 'benched' | 'down'
  readonly reason?: string
  readonly until?: string
  /** Open connections from it. */
  readonly tunnels?: number
}

/** `GET /console/api/lookup?q=8.8.8.8` (also IPv6, an AS number): the record, and how the fleet answers it. */
export interface AnsweredQuery {
  readonly query: string
  readonly status: number
  readonly record: unknown
  readonly tier: 'memory' | 'redis' | 'upstream' | 'offline' | 'none'
  /** How it ended in more words: `l1`, `l2`, `stale`, `collapsed`, `upstream`, `bypass`, `offline`, `local`, `error`. */
  readonly source?: string
  readonly ageSeconds?: number
  readonly ttlSeconds?: number
  readonly keyClass?: string
  readonly units: number
  readonly nextCosts: number
}

/*
 * POST /console/api/keys/{id}/bench?seconds=N, /release, /test: the key's row; test: with `tested`. 403 for the role
 * `read`. DELETE /console/api/cache: 204. Jobs are the bulk service's own endpoints (/jobs, /jobs/{id}, its events,
 * results and report) on the same origin, where features.jobs. Errors are the product's JSON error body.
 */
export interface TestedKey extends ConsoleKey {
  readonly tested: KeyTest
}
