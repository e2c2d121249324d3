import type { ValuesOf } from './config-key.ts'
import type { groupKeys, rateLimitKeys, routeKeys, serverKeys, tlsKeys } from './config-tables.ts'
import type { FoundTables } from './find-tables.ts'

/** The configuration of tables without faults. */
export function buildConfig(tables: FoundTables) {
  const { tls, rateLimit } = tables
  const server = serverConfig(complete(tables.server.values))
  const health = complete(tables.health.values)
  const ejection = complete(tables.ejection.values)
  const retry = complete(tables.retry.values)
  return {
    server,
    /** Undefined: plain HTTP. */
    tls: tls && tlsConfig(complete(tls.values)),
    /** By name; `default` is the file's `[upstreams]`. */
    groups: Object.fromEntries(
      tables.groups.map(({ name, values }) => [name, groupConfig(complete(values), server.clientSharePercent)]),
    ),
    routes: tables.routes.map(({ values }) => routeConfig(complete(values))),
    health: {
      path: health.path,
      intervalMs: inMs(health.interval_seconds),
      timeoutMs: health.timeout_ms,
      healthyAfter: health.healthy_after,
      unhealthyAfter: health.unhealthy_after,
    },
    ejection: {
      failures: ejection.failures,
      ejectMs: inMs(ejection.seconds),
      maxPercent: ejection.max_percent,
      slowStartMs: inMs(ejection.slow_start_seconds),
    },
    retry: {
      attempts: retry.attempts,
      budgetPercent: retry.budget_percent,
      minPerSecond: retry.min_per_second,
      hedgeAfterMs: retry.hedge_after_ms,
    },
    /** Undefined: no client is limited. */
    rateLimit: rateLimit && rateLimitConfig(complete(rateLimit.values)),
    access: complete(tables.access.values),
    metrics: complete(tables.metrics.values),
  }
}

/** Without faults every key was read, or has its default, or may be missing; the compiler cannot know of the faults. */
function complete<Values>(values: Partial<Values>): Values {
  return values as Values
}

/** Whole: Node cuts off the rest. */
function inMs(seconds: number): number {
  return Math.round(seconds * 1000)
}

function serverConfig(values: ValuesOf<typeof serverKeys>) {
  return {
    ...values.listen,
    workers: values.workers,
    maxConnections: values.max_connections,
    maxConnectionsPerClient: values.max_connections_per_client,
    clientSharePercent: values.client_share_percent,
    maxLongAnswers: values.max_long_answers,
    maxHeldBytes: values.max_held_bytes,
    bodyBufferBytes: values.body_buffer_bytes,
    maxHeaders: values.max_headers,
    maxHeaderBytes: values.max_header_bytes,
    maxTargetBytes: values.max_target_bytes,
    maxBodyBytes: values.max_body_bytes,
    headerTimeoutMs: inMs(values.header_timeout_seconds),
    bodyTimeoutMs: inMs(values.body_timeout_seconds),
    minBodyBytesPerSecond: values.min_body_bytes_per_second,
    keepAliveMs: inMs(values.keep_alive_seconds),
    sendTimeoutMs: inMs(values.send_timeout_seconds),
    upgrades: values.upgrades,
    tunnelIdleMs: inMs(values.tunnel_idle_seconds),
    hiddenPaths: values.hidden_paths,
    showBackend: values.show_backend,
    probeEndpoint: values.probe_endpoint,
  }
}

function tlsConfig(values: ValuesOf<typeof tlsKeys>) {
  return { cert: values.cert, key: values.key, http2: values.http2, minVersion: values.min_version }
}

function groupConfig(values: ValuesOf<typeof groupKeys>, clientSharePercent: number) {
  return {
    backends: values.backends,
    balance: values.balance,
    host: values.host,
    connectTimeoutMs: values.connect_timeout_ms,
    answerTimeoutMs: inMs(values.answer_timeout_seconds),
    idleTimeoutMs: inMs(values.idle_timeout_seconds),
    maxConnections: values.max_connections,
    maxWaiting: values.max_waiting,
    clientSharePercent,
    keepAliveMs: inMs(values.keep_alive_seconds),
    resolveMs: inMs(values.resolve_seconds),
    healthPath: values.health_path,
  }
}

function routeConfig(values: ValuesOf<typeof routeKeys>) {
  return {
    prefix: values.prefix,
    upstreams: values.upstreams,
    maxBodyBytes: values.max_body_bytes,
    hedgeAfterMs: values.hedge_after_ms,
  }
}

function rateLimitConfig(values: ValuesOf<typeof rateLimitKeys>) {
  const { algorithm, max_requests: limit, window_seconds: windowSeconds, burst, refill_per_second: flow } = values
  return {
    policy:
      algorithm === 'sliding-window'
        ? { kind: algorithm, limit, windowMs: inMs(windowSeconds) }
        : { kind: algorithm, burst, refillPerSecond: flow },
    keyExtractor: values.key_extractor,
    /** Hashes of the tokens or values that have a budget of their own. */
    known: [...new Set([...values.known, ...(values.known_file ?? [])])],
    aheadPercent: values.ahead_percent,
    exempt: values.exempt,
  }
}
