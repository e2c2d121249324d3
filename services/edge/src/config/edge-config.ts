import type { buildConfig } from './build-config.ts'

export type { BackendConfig, KeyExtractor } from './config-kinds.ts'

/**
 * What the edge does: the TOML file, read, checked and completed with its defaults; `config-schema.ts` says what each
 * key means. Plain data, so that the primary process can send it to its workers. What the process is (log, Redis,
 * trusted proxies) comes from the environment.
 */
export type EdgeConfig = Readonly<ReturnType<typeof buildConfig>>

export type ServerConfig = Readonly<EdgeConfig['server']>
/** Paths of PEM files, and how they are used. */
export type TlsConfig = Readonly<NonNullable<EdgeConfig['tls']>>
export type GroupConfig = Readonly<EdgeConfig['groups'][string]>
export type Balance = GroupConfig['balance']
export type RouteConfig = Readonly<EdgeConfig['routes'][number]>
export type HealthConfig = Readonly<EdgeConfig['health']>
export type EjectionConfig = Readonly<EdgeConfig['ejection']>
export type RetryConfig = Readonly<EdgeConfig['retry']>
/** After how long without an answer another backend is asked too; `auto`: from the latencies seen; 0: never. */
export type HedgeAfter = RetryConfig['hedgeAfterMs']
export type RateLimitConfig = Readonly<NonNullable<EdgeConfig['rateLimit']>>
export type ConsoleConfig = Readonly<EdgeConfig['console']>
export type AccessConfig = Readonly<EdgeConfig['access']>
