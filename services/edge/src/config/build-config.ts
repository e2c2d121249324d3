import { namedAsInCode } from '@ipfleet/settings/toml-schema.ts'
import type { ConfigTables } from './config-schema.ts'

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
