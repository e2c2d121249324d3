import type { Server } from 'node:http'
import { http } from '@ipfleet/core/node-http.ts'
import { AnswerCache } from '@ipfleet/cache/answer-cache.ts'
import { LruStore } from '@ipfleet/cache/lru-store.ts'
import { clientAddress } from '@ipfleet/net/client-address.ts'
import { addressBlocks } from '@ipfleet/net/address-blocks.ts'
import { ConnectionLimits } from '@ipfleet/http-server/connection-limits.ts'
import { openFastLane } from '@ipfleet/http-server/fast-lane/fast-lane.ts'
import { furtherAttempt } from '@ipfleet/http-server/further-attempt.ts'
import { gracefulClose } from '@ipfleet/http-server/graceful-close.ts'
import { hardenServer, httpServerOptions } from '@ipfleet/http-server/harden-server.ts'
import { inTurn } from '@ipfleet/http-server/in-turn.ts'
import { listen } from '@ipfleet/http-server/listen.ts'
import { AccessLog } from '@ipfleet/telemetry/access-log.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { Tracer } from '@ipfleet/telemetry/tracing/tracer.ts'
import { createMetrics } from '@ipfleet/telemetry/metrics.ts'
import { createApp } from './app.ts'
import { ReplicaConsole } from './console/replica-console.ts'
import { chosenProviders } from './upstream/chosen-providers.ts'
import type { ClientGuard } from '@ipfleet/rate-limit/clients/client-guard.ts'
import { createClientGuard, registerClientMetrics } from '@ipfleet/rate-limit/clients/create-client-guard.ts'
import { openFleet, type Fleet } from './fleet/fleet.ts'
import { FleetStats } from './fleet/fleet-stats.ts'
import { Health } from './operations/health.ts'
import { Lookup } from './lookup/lookup.ts'
import { ReportStore } from './lookup/report-store.ts'
import { OfflineAnswers } from './lookup/own-answers.ts'
import { LiveRate } from './operations/live-rate.ts'
import { logEvents, logMode } from './operations/replica-log.ts'
import { OfflineSource } from './offline/offline-source.ts'
import { registerMetrics } from './metrics.ts'
import { RequestRecord } from './operations/request-record.ts'
import { RequestBodies } from './http/request-bodies.ts'
import { requestOrigin } from './http/request-origin.ts'
import { MemoryHits } from './http/memory-hits.ts'
import { type LookupRoutesDeps, maxToolBytes } from './http/lookup-routes.ts'
import { durationsOf, type LookupSettings } from './settings.ts'
import { isPoorer } from './upstream/richness.ts'
import { statsOf } from './operations/stats.ts'
import { upstreamStack, type UpstreamStack } from './upstream/upstream-stack.ts'

/** A lookup replica: all its parts, put together and taken apart again. */
export class Replica {
  readonly #settings: LookupSettings
  readonly #logger: Logger
  readonly #tracer: Tracer
  readonly #fleet: Fleet
  readonly #upstream: UpstreamStack | undefined
  readonly #clients: ClientGuard | undefined
  /** Undefined where it could answer nothing: it takes memory. */
  readonly #offline: OfflineSource | undefined
  readonly #health: Health
  readonly #server: Server
  readonly #console: ReplicaConsole

  constructor(settings: LookupSettings, logger: Logger, tracer: Tracer) {
    this.#settings = settings
    this.#logger = logger
    this.#tracer = tracer
    this.#fleet = openFleet(settings)
    this.#upstream = upstreamStack(settings, this.#fleet, logger)
    this.#clients = createClientGuard({
      tokens: settings.CLIENT_TOKENS,
      link: this.#fleet.redis?.state,
      service: 'lookup',
      isCounted: furtherAttempt({ trusted: settings.TRUST_PROXY }),
    })
    this.#offline =
      this.#upstream && settings.FAILURE_MODE === 'closed'
        ? undefined
        : new OfflineSource(settings, { logger, link: this.#fleet.redis?.state })
    this.#health = new Health({
      pools: this.#upstream?.pools ?? [],
      gate: this.#upstream?.gate,
      offline: this.#offline,
      redis: this.#fleet.redis && { state: this.#fleet.redis.state, cache: this.#fleet.redis.cache },
    })
    logEvents(logger, this.#fleet, this.#upstream)
    const accessLog = new AccessLog({ logger, tracer })
    const { server, replicaConsole } = this.#createServer(accessLog)
    this.#server = server
    this.#console = replicaConsole
    new ConnectionLimits({
      maxPerClient: settings.MAX_CONNECTIONS_PER_CLIENT,
      isTrusted: addressBlocks(settings.TRUST_PROXY),
    }).watch(this.#server)
    hardenServer(this.#server, {}, accessLog.refused)
  }

  /** @returns the port. @throws ListenError */
  async start(): Promise<number> {
    await this.#fleet.joined()
    // Benches that the fleet made before this replica came are remembered from here on, also if Redis goes now.
    await this.#health.keys()
    for (const { keys, pool } of this.#upstream?.providers ?? []) keys.follow(pool)
    void this.#upstream?.quota.poller?.start()
    this.#offline?.follow()
    const port = await listen(this.#server, { port: this.#settings.PORT, host: this.#settings.HOST })
    this.#console.opened(port)
    this.#logger.info({ host: this.#settings.HOST, port }, 'listening')
    const { keysSetting } = chosenProviders(this.#settings).first
    logMode(this.#logger, this.#fleet, this.#upstream, { keysSetting, offlineDb: this.#offline?.db })
    return port
  }

  /** Fails readiness, finishes what is in flight, then closes what was opened, last things first. */
  async stop(): Promise<void> {
    this.#logger.info('stopping')
    await gracefulClose(this.#server, {
      drainMs: this.#settings.DRAIN_MS,
      deadlineMs: durationsOf(this.#settings).requestEndMs,
      onDraining: () => {
        this.#health.draining = true
        this.#console.endStreams()
      },
    })
    await this.#console.close()
    this.#upstream?.quota.poller?.close()
    for (const { keys, client } of this.#upstream?.providers ?? []) {
      keys.close()
      client.close()
    }
    await this.#offline?.close()
    await this.#clients?.close()
    await this.#fleet.close()
    await this.#tracer.close()
    this.#logger.info('stopped')
  }

  #createServer(accessLog: AccessLog) {
    const settings = this.#settings
    const fleet = this.#fleet
    const upstream = this.#upstream
    const health = this.#health
    const metrics = createMetrics()
    const record = new RequestRecord(metrics)
    const memory = new LruStore({
      maxEntries: settings.CACHE_MAX_ENTRIES,
      recheckAfterMs: durationsOf(settings).memoryTtlMs,
    })
    const lookup = this.#lookup(memory)
    registerMetrics({ metrics, record, memory, fleet, upstream, health, offline: this.#offline?.db })
    const clients = this.#clients
    if (clients) registerClientMetrics(metrics, clients)
    const upstreamErrors = (): number => upstream?.providers.reduce((sum, { client }) => sum + client.failures, 0) ?? 0
    const ownStats = async () => statsOf(record, memory, upstreamErrors(), await health.keys())
    const fleetStats = fleet.redis && new FleetStats(fleet.redis.state, fleet.redis.subscriber, ownStats)
    const memoryHits = new MemoryHits({ memory, record, accessLog, clients })
    const lookups = this.#routesDeps(lookup, record)
    const logger = this.#logger
    const replicaConsole = new ReplicaConsole({ settings, fleet, upstream, health, accessLog, logger, lookups })
    const app = createApp({
      adminToken: settings.ADMIN_TOKEN,
      accessLog,
      memoryHits,
      probes: { metrics, health: () => health.report(), isReady: () => !health.draining },
      operations: {
        generation: fleet.generation,
        ownStats,
        otherStats: fleetStats && (() => fleetStats.others()),
      },
      keys: { admin: upstream?.quota.admin },
      redisTimeoutMs: settings.REDIS_TIMEOUT_MS,
      console: replicaConsole.parts(),
      lookups,
    })
    const server = http.createServer(httpServerOptions(), inTurn(app.handle))
    if (settings.FAST_LANE === 'on') openFastLane(server, app.inLane)
    return { server, replicaConsole }
  }

  #routesDeps(lookup: Lookup, record: RequestRecord): LookupRoutesDeps {
    const settings = this.#settings
    return {
      lookup,
      record,
      clients: this.#clients,
      exhaustedStatus: Number(settings.EXHAUSTED_STATUS),
      reports: settings.TOOLS === 'local' ? new ReportStore(this.#fleet.redis?.cache) : undefined,
      originOf: requestOrigin({ trusted: settings.TRUST_PROXY }),
      clientAddress: clientAddress({ trusted: settings.TRUST_PROXY }),
      liveRate: new LiveRate(() => record.live),
      bodies: new RequestBodies({
        maxInAllBytes: settings.BODIES_MAX_BYTES,
        maxBytes: maxToolBytes,
        idleTimeoutMs: settings.BODY_IDLE_TIMEOUT_MS,
      }),
    }
  }

  #lookup(memory: LruStore): Lookup {
    const settings = this.#settings
    const fleet = this.#fleet
    const { staleForMs, revalidateForMs } = durationsOf(settings)
    const cache = new AnswerCache({
      memory,
      shared: fleet.shared,
      flight: fleet.flight,
      staleForMs,
      revalidateForMs,
      ...(settings.PLAN_PREFERENCE === 'richest' && { isPoorer }),
    })
    fleet.generation.onPurge(() => cache.forget())
    return new Lookup({
      cache,
      upstream: this.#upstream,
      offline:
        this.#offline &&
        new OfflineAnswers(this.#offline.db, {
          answersUnknown: this.#upstream === undefined,
          emptyFields: settings.EMBEDDED_EMPTY_FIELDS,
        }),
      requestTimeoutMs: settings.REQUEST_TIMEOUT_MS,
      isShared: fleet.redis !== undefined,
    })
  }
}
