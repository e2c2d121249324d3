import { namedAsInCode } from '@ipfleet/settings/toml-schema.ts'
import type { ConfigTables } from './config-schema.ts'

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

/** The configuration of tables without faults, with names as code has them. */
export function buildConfig(tables: ConfigTables) {
  const { listen, ...server } = namedAsInCode(tables.server)
  const { seconds: ejectMs, ...ejection } = namedAsInCode(tables.ejection)
  const { clientSharePercent } = server
  const groupConfig = (group: ConfigTables['upstreams']) => ({ ...namedAsInCode(group), clientSharePercent })
  const named = Object.entries(tables.groups).map(([name, group]) => [name, groupConfig(group)] as const)
  return {
    server: { ...listen, ...server },
    /** Undefined: plain HTTP. */
    tls: tables.tls && namedAsInCode(tables.tls),
    /** By name; `default` is the file's `[upstreams]`. */
    groups: Object.fromEntries([['default', groupConfig(tables.upstreams)] as const, ...named]),
    routes: tables.routes.map((route) => namedAsInCode(route)),
    health: namedAsInCode(tables.health),
    ejection: { ...ejection, ejectMs },
    retry: namedAsInCode(tables.retry),
    /** Undefined: no client is limited. */
    rateLimit: tables.rate_limit && rateLimitConfig(tables.rate_limit),
    access: tables.access,
    metrics: tables.metrics,
    console: tables.console,
  }
}

function rateLimitConfig(values: NonNullable<ConfigTables['rate_limit']>) {
  const { algorithm, max_requests: limit, window_seconds: windowMs, burst, refill_per_second: refillPerSecond } = values
  return {
    policy:
      algorithm === 'sliding-window'
        ? { kind: algorithm, limit, windowMs }
        : { kind: algorithm, burst, refillPerSecond },
    keyExtractor: values.key_extractor,
    /** Hashes of the tokens or values that have a budget of their own. */
    known: [...new Set([...values.known, ...(values.known_file ?? [])])],
    aheadPercent: values.ahead_percent,
    exempt: values.exempt,
    /** Undefined: all count. */
    limitMethods: values.limit_methods,
  }
}
