import { createServer, type Server } from 'node:http'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { clientAddress } from '@ipfleet/net/client-address.ts'
import { limitClientConnections } from '@ipfleet/http-server/client-connections.ts'
import { gracefulClose } from '@ipfleet/http-server/graceful-close.ts'
import { hardenServer, httpServerOptions } from '@ipfleet/http-server/harden-server.ts'
import { listen } from '@ipfleet/http-server/listen.ts'
import { passOnExpectations } from '@ipfleet/http-server/pass-on-expectations.ts'
import { linkHealth } from '@ipfleet/redis/link-health.ts'
import { AccessLog } from '@ipfleet/telemetry/access-log.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import { createMetrics, type Metrics } from '@ipfleet/telemetry/metrics.ts'
import { createApp } from './app.ts'
import { BulkMetrics, registerGauges, registerSlots } from './metrics.ts'
import { type FleetParts, fleetParts } from './fleet-parts.ts'
import { isCallbackDue } from './jobs/job.ts'
import { JobChanges } from './jobs/job-changes.ts'
import { JobNames, queuePrefix } from './jobs/job-keys.ts'
import { JobStore } from './jobs/job-store.ts'
import { StorageQuota } from './limits/storage-quota.ts'
import { type ServiceSlots, serviceSlots } from './limits/slot-limiter.ts'
import { Pauses } from './lookups/pauses.ts'
import { ChunkQueue } from './worker/chunk-queue.ts'
import type { BulkSettings } from './settings.ts'
import { recordWebhooks, type WebhookParts, webhookParts } from './webhook-parts.ts'
import { checkCallback } from './webhooks/webhook-target.ts'
import { readCallback } from './webhooks/callback-url.ts'
import { Sweeper } from './worker/sweeper.ts'
import { BulkWorker } from './worker/worker.ts'

/** A process of the bulk service: all its parts, put together and taken apart again. */
export class Bulk {
  readonly #settings: BulkSettings
  readonly #logger: Logger
  readonly #fleet: FleetParts
  readonly #store: JobStore
  readonly #queue: ChunkQueue
  readonly #changes = new JobChanges()
  readonly #pauses = new Pauses()
  readonly #quota: StorageQuota
  readonly #slots: ServiceSlots
  readonly #record: BulkMetrics
  readonly #webhooks: WebhookParts | undefined
  readonly #sweeper: Sweeper
  readonly #worker: BulkWorker | undefined
  readonly #streams = new AbortController()
  readonly #server: Server
  #draining = false

  constructor(settings: BulkSettings, logger: Logger) {
    this.#settings = settings
    this.#logger = logger
    this.#fleet = fleetParts(settings, logger)
    this.#store = new JobStore(this.#fleet.link, { resultTtlMs: settings.RESULT_TTL_SECONDS * 1000 })
    this.#queue = new ChunkQueue(this.#fleet.queueConnection, { prefix: queuePrefix(this.#fleet.link.names) })
    this.#quota = new StorageQuota({
      store: this.#store,
      maxBytes: settings.BULK_MAX_STORED_BYTES,
      maxJobs: settings.BULK_MAX_JOBS,
      sharePercent: settings.BULK_CLIENT_SHARE_PERCENT,
    })
    const metrics = createMetrics()
    this.#record = new BulkMetrics(metrics, logger)
    this.#slots = serviceSlots(settings, this.#record.refused)
    registerSlots(metrics, this.#slots)
    this.#pauses.on('paused', this.#record.paused)
    registerGauges(metrics, { pauses: this.#pauses, quota: this.#quota, queue: this.#queue })
    this.#webhooks = webhookParts(settings, this.#fleet, this.#store, this.#slots.webhooks)
    if (this.#webhooks) recordWebhooks(this.#webhooks.webhooks, metrics, logger)
    this.#sweeper = new Sweeper({
      store: this.#store,
      queue: this.#queue,
      notifyEnd: this.#notifyEnd,
      onRepaired: this.#record.repaired,
    })
    this.#worker = settings.BULK_ROLE === 'api' ? undefined : this.#bulkWorker()
    const accessLog = new AccessLog({ logger, clientOf: clientAddress({ trusted: settings.TRUST_PROXY }) })
    this.#server = createServer(httpServerOptions(uploadLimits), this.#app(metrics, accessLog))
    limitClientConnections(this.#server, {
      maxPerClient: settings.MAX_CONNECTIONS_PER_CLIENT,
      trusted: settings.TRUST_PROXY,
    })
    hardenServer(this.#server, uploadLimits, accessLog.refused)
    passOnExpectations(this.#server)
  }

  /** @returns the port. @throws ListenError */
  async start(): Promise<number> {
    const { PORT: port, HOST: host, BULK_ROLE: role, LOOKUP_URL: lookups } = this.#settings
    await this.#fleet.joined()
    await this.#changes.follow(this.#fleet.subscriber, new JobNames(this.#fleet.link.names))
    const listening = await listen(this.#server, { port, host })
    this.#webhooks?.own.addListener({ host, port: listening })
    this.#logger.info({ host, port: listening }, 'listening')
    if (this.#worker) {
      this.#worker.start()
      this.#webhooks?.webhooks.start()
      this.#logger.info({ lookups }, 'looking up')
    }
    this.#sweeper.start()
    if (role === 'api') this.#logger.info('taking jobs only; another process with BULK_ROLE=worker is to look them up')
    if (!this.#webhooks) this.#logger.info('no WEBHOOK_SECRET: jobs with a callback are refused')
    return listening
  }

  /** Takes nothing new, finishes chunks or hands them back, then closes what was opened, last things first. */
  async stop(): Promise<void> {
    const { DRAIN_MS: drainMs } = this.#settings
    this.#logger.info('stopping')
    this.#sweeper.close()
    const worked = this.#worker?.close(drainMs)
    await gracefulClose(this.#server, {
      drainMs,
      deadlineMs: drainMs,
      onDraining: () => {
        this.#draining = true
        // Whoever follows a job comes back to another process.
        this.#streams.abort()
      },
    })
    await worked
    await this.#webhooks?.webhooks.close()
    await this.#queue.close()
    await this.#fleet.close()
    this.#logger.info('stopped')
  }

  #bulkWorker(): BulkWorker {
    const { link, limiter, clients, workerConnection } = this.#fleet
    return new BulkWorker({
      settings: this.#settings,
      link,
      store: this.#store,
      queue: this.#queue,
      changes: this.#changes,
      pauses: this.#pauses,
      limiter,
      clients: clients?.guard,
      connection: workerConnection,
      record: this.#record,
      mayGrow: (holder) => this.#quota.mayGrow(holder),
      notifyEnd: this.#notifyEnd,
    })
  }

  #app(metrics: Metrics, accessLog: AccessLog) {
    const settings = this.#settings
    return createApp({
      takesJobs: settings.BULK_ROLE !== 'worker',
      store: this.#store,
      changes: this.#changes,
      queue: this.#queue,
      quota: this.#quota,
      slots: this.#slots,
      clientOf: clientAddress({ trusted: settings.TRUST_PROXY }),
      checkCallback: (given) => this.#checkedCallback(given),
      sendWebhook: (id) => this.#resend(id),
      clients: this.#fleet.clients?.guard,
      limits: {
        maxLines: settings.BULK_MAX_LINES,
        maxBytes: settings.BULK_MAX_BODY_BYTES,
        maxRatio: settings.BULK_MAX_INFLATION,
      },
      uploads: { maxMs: settings.BULK_UPLOAD_TIMEOUT_SECONDS * 1000 },
      accessLog,
      probes: {
        metrics,
        isReady: () => !this.#draining,
        health: () => this.#health(),
      },
      streams: this.#streams.signal,
    })
  }

  /** Whoever is to be told of a job's end is to be told, once, whoever notices it. */
  readonly #notifyEnd = async (id: string): Promise<void> => {
    const job = await this.#store.read(id)
    if (job !== undefined && isCallbackDue(job)) await this.#webhooks?.webhooks.enqueue(id)
  }

  async #checkedCallback(given: unknown): Promise<string> {
    const url = readCallback(given)
    if (!this.#webhooks) {
      throw new ProxyError('bad_request', { message: 'Callbacks are not set up here: WEBHOOK_SECRET is not set' })
    }
    await checkCallback(this.#webhooks.policy, url)
    return url.href
  }

  async #resend(id: string): Promise<void> {
    if (!this.#webhooks) throw new ProxyError('bad_request', { message: 'Callbacks are not set up here' })
    await this.#webhooks.webhooks.resend(id)
  }

  async #health(): Promise<object> {
    const { link } = this.#fleet
    const paused = this.#pauses.reasons()
    const redis = linkHealth(link)
    const reasons = [redis.reason, ...paused.map((reason) => `paused: ${reason}`)].filter(
      (reason) => reason !== undefined,
    )
    return {
      status: reasons.length === 0 ? 'ok' : 'degraded',
      ...(reasons.length > 0 && { reason: reasons.join('; ') }),
      redis,
      role: this.#settings.BULK_ROLE,
      paused,
    }
  }
}

/** A body may take as long as it likes, as long as it moves: the routes see to that. */
const uploadLimits = { requestTimeoutMs: 0 }
