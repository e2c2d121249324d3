import { once } from 'node:events'
import type { Server } from 'node:http'
import { http } from '@ipfleet/core/node-http.ts'
import { Presence } from '@ipfleet/console/presence/presence.ts'
import { presenceId, stateWith } from '@ipfleet/console/presence/presence-record.ts'
import { within } from '@ipfleet/core/within.ts'
import { addressBlocks } from '@ipfleet/net/address-blocks.ts'
import { ConnectionLimits } from '@ipfleet/http-server/connection-limits.ts'
import { gracefulClose } from '@ipfleet/http-server/graceful-close.ts'
import { hardenServer, httpServerOptions } from '@ipfleet/http-server/harden-server.ts'
import { listen } from '@ipfleet/http-server/listen.ts'
import { passOnExpectations } from '@ipfleet/http-server/pass-on-expectations.ts'
import { clientAddress } from '@ipfleet/net/client-address.ts'
import { lookUpBy } from '@ipfleet/net/dns-look-up.ts'
import { OwnAddresses } from '@ipfleet/net/own-addresses.ts'
import type { TargetPolicy } from '@ipfleet/net/target-policy.ts'
import { linkHealth } from '@ipfleet/redis/link-health.ts'
import { AccessLog } from '@ipfleet/telemetry/access-log.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { Tracer } from '@ipfleet/telemetry/tracing/tracer.ts'
import { createMetrics, type Metrics } from '@ipfleet/telemetry/metrics.ts'
import { createApp } from './app.ts'
import { JobChanges } from './jobs/job-changes.ts'
import { JobNames, queuePrefix } from './jobs/job-keys.ts'
import { JobStore } from './jobs/job-store.ts'
import { JobSummaries } from './jobs/job-summaries.ts'
import { type ServiceSlots, serviceSlots } from './limits/slot-limiter.ts'
import { StorageQuota } from './limits/storage-quota.ts'
import { BatchClient } from '@ipfleet/fleet-client/batch-client.ts'
import { FleetClient } from '@ipfleet/fleet-client/fleet-client.ts'
import { FleetLookups } from './lookups/fleet-lookups.ts'
import { LookupGate } from './lookups/lookup-gate.ts'
import { ResultReader } from './results/result-reader.ts'
import { BulkMetrics, registerGauges } from './metrics.ts'
import { type Connections, connect } from './redis/connections.ts'
import type { BulkSettings } from './settings.ts'
import { Callbacks } from './webhooks/callbacks.ts'
import { webhookJobs } from './webhooks/webhook-jobs.ts'
import { WebhookSender } from './webhooks/webhook-sender.ts'
import { WebhookSigner } from './webhooks/webhook-signer.ts'
import { webhookPolicy } from './webhooks/webhook-target.ts'
import { Webhooks } from './webhooks/webhooks.ts'
import { BulkWorker } from './worker/bulk-worker.ts'
import { ChunkQueue } from './worker/chunk-queue.ts'
import { ChunkRunner } from './worker/chunk-runner.ts'
import { JobSignals } from './worker/job-signals.ts'
import { Sweeper } from './worker/sweeper.ts'

const maxJoinMs = 1000
/** A body may take as long as it likes while it keeps coming in: the routes see to that. */
const uploadLimits = { requestTimeoutMs: 0 }

/** A process of the bulk service: the composition root. */
export class BulkService {
  readonly #settings: BulkSettings
  readonly #logger: Logger
  readonly #tracer: Tracer
  readonly #redis: Connections
  readonly #store: JobStore
  readonly #queue: ChunkQueue
  readonly #changes = new JobChanges()
  readonly #gate: LookupGate
  readonly #quota: StorageQuota
  readonly #slots: ServiceSlots
  readonly #metrics: BulkMetrics
  readonly #webhooks: Webhooks | undefined
  readonly #callbacks: Callbacks
  readonly #own: OwnAddresses
  readonly #sweeper: Sweeper
  readonly #worker: BulkWorker | undefined
  /** Aborts when this process is to stop. */
  readonly #draining = new AbortController()
  readonly #server: Server
  #presence: Presence | undefined

  constructor(settings: BulkSettings, logger: Logger, tracer: Tracer) {
    this.#settings = settings
    this.#logger = logger
    this.#tracer = tracer
    this.#redis = connect(settings, logger)
    const { link, clock, queueConnection: connection } = this.#redis
    this.#store = new JobStore(link, { resultTtlMs: settings.RESULT_TTL_SECONDS * 1000 })
    this.#queue = new ChunkQueue(connection, { prefix: queuePrefix(link.names) })
    this.#quota = new StorageQuota({
      store: this.#store,
      maxBytes: settings.BULK_MAX_STORED_BYTES,
      maxJobs: settings.BULK_MAX_JOBS,
      sharePercent: settings.BULK_CLIENT_SHARE_PERCENT,
    })
    const metrics = createMetrics()
    this.#metrics = new BulkMetrics(metrics, logger)
    this.#slots = serviceSlots(settings, this.#metrics.refused)
    this.#gate = new LookupGate({
      maxConcurrency: settings.BULK_CONCURRENCY,
      maxRps: settings.BULK_MAX_RPS,
      limiter: this.#redis.limiter,
      liveSharePercent: settings.BULK_LIVE_SHARE_PERCENT,
    })
    this.#gate.on('paused', this.#metrics.paused)
    registerGauges(metrics, { gate: this.#gate, quota: this.#quota, queue: this.#queue, slots: this.#slots })
    this.#own = new OwnAddresses({ clock, blocks: [] })
    const { ALLOW_TARGETS: allow, DENY_TARGETS: deny, RESOLVER: resolver } = settings
    const policy = webhookPolicy({ allow, deny, own: this.#own, clock, lookUp: lookUpBy(resolver) })
    this.#webhooks = this.#createWebhooks(policy)
    this.#callbacks = new Callbacks({ store: this.#store, policy, webhooks: this.#webhooks })
    this.#sweeper = new Sweeper({
      store: this.#store,
      queue: this.#queue,
      notifyEnd: this.#callbacks.notifyEnd,
      onRepaired: this.#metrics.repaired,
    })
    this.#worker = settings.BULK_ROLE === 'api' ? undefined : this.#createWorker()
    const accessLog = new AccessLog({ logger, tracer, clientOf: clientAddress({ trusted: settings.TRUST_PROXY }) })
    this.#server = http.createServer(httpServerOptions(uploadLimits), this.#createApp(metrics, accessLog))
    new ConnectionLimits({
      maxPerClient: settings.MAX_CONNECTIONS_PER_CLIENT,
      isTrusted: addressBlocks(settings.TRUST_PROXY),
    }).watch(this.#server)
    hardenServer(this.#server, uploadLimits, accessLog.refused)
    passOnExpectations(this.#server)
  }

  /** @returns the port. @throws ListenError */
  async start(): Promise<number> {
    const { PORT: port, HOST: host, BULK_ROLE: role, LOOKUP_URL: lookups } = this.#settings
    const { link, subscriber } = this.#redis
    // Without Redis it starts too, and refuses jobs.
    if (!link.up) await within(maxJoinMs, once(link, 'up'))
    await this.#changes.follow(subscriber, new JobNames(link.names))
    const listening = await listen(this.#server, { port, host })
    this.#own.addListener({ host, port: listening })
    this.#logger.info({ host, port: listening }, 'listening')
    if (this.#worker) {
      this.#worker.start()
      this.#webhooks?.start()
      this.#logger.info({ lookups }, 'looking up')
    }
    const describe = async () => this.#condition()
    this.#presence = new Presence({ link, id: presenceId(listening), service: 'bulk', describe })
    this.#sweeper.start()
    if (role === 'api') this.#logger.info('taking jobs only; another process with BULK_ROLE=worker is to look them up')
    if (!this.#webhooks) this.#logger.info('no WEBHOOK_SECRET: jobs with a callback are refused')
    return listening
  }

  /** Takes nothing new, finishes chunks or hands them back, then closes in reverse order of opening. */
  async stop(): Promise<void> {
    const { DRAIN_MS: drainMs } = this.#settings
    this.#logger.info('stopping')
    this.#sweeper.close()
    const worked = this.#worker?.close(drainMs)
    await gracefulClose(this.#server, {
      drainMs,
      deadlineMs: drainMs,
      // Clients that follow a job reconnect to another process.
      onDraining: () => this.#draining.abort(),
    })
    await worked
    await this.#presence?.close()
    await this.#webhooks?.close()
    await this.#queue.close()
    await this.#redis.close()
    await this.#tracer.close()
    this.#logger.info('stopped')
  }

  #createWebhooks(policy: TargetPolicy): Webhooks | undefined {
    const { WEBHOOK_SECRET: secrets, RESULT_TTL_SECONDS: keepSeconds } = this.#settings
    if (secrets.length === 0) return undefined
    const { link, queueConnection: queue, workerConnection: worker } = this.#redis
    const webhooks = new Webhooks({
      connections: { queue, worker },
      prefix: queuePrefix(link.names),
      jobs: webhookJobs(this.#store),
      slots: this.#slots.webhooks,
      sender: new WebhookSender({ policy, signer: new WebhookSigner(secrets) }),
      keepSeconds,
    })
    this.#metrics.follow(webhooks)
    return webhooks
  }

  #createWorker(): BulkWorker {
    const settings = this.#settings
    const { link, clients, workerConnection: connection } = this.#redis
    const gate = this.#gate
    const signals = new JobSignals(this.#store, this.#changes)
    const lookups = new FleetLookups({
      client: new BatchClient({
        fleet: new FleetClient(settings.LOOKUP_URL, settings.LOOKUP_TOKEN),
        timeoutMs: settings.LOOKUP_TIMEOUT_MS,
        liveReservePercent: settings.LIVE_RESERVE_PERCENT,
      }),
      gate,
      onRetry: this.#metrics.retried,
    })
    const runner = new ChunkRunner({
      tracer: this.#tracer,
      store: this.#store,
      lookups,
      gate,
      clients,
      quota: this.#quota,
      signals,
      onDone: this.#metrics.chunkDone,
      notifyEnd: this.#callbacks.notifyEnd,
    })
    return new BulkWorker({
      link,
      connection,
      prefix: queuePrefix(link.names),
      queue: this.#queue,
      runner,
      signals,
      gate,
      maxConcurrency: settings.BULK_CONCURRENCY,
      lookupUrl: settings.LOOKUP_URL,
      onGivenUp: this.#metrics.gaveUp,
    })
  }

  #createApp(metrics: Metrics, accessLog: AccessLog) {
    const settings = this.#settings
    return createApp({
      takesJobs: settings.BULK_ROLE !== 'worker',
      store: this.#store,
      changes: this.#changes,
      summaries: new JobSummaries(this.#redis.link, this.#store, new ResultReader(this.#store, this.#changes)),
      queue: this.#queue,
      quota: this.#quota,
      slots: this.#slots,
      clientOf: clientAddress({ trusted: settings.TRUST_PROXY }),
      callbacks: this.#callbacks,
      clients: this.#redis.clients,
      limits: {
        maxLines: settings.BULK_MAX_LINES,
        maxBytes: settings.BULK_MAX_BODY_BYTES,
        maxRatio: settings.BULK_MAX_INFLATION,
      },
      uploads: { maxMs: settings.BULK_UPLOAD_TIMEOUT_SECONDS * 1000 },
      accessLog,
      probes: { metrics, isReady: () => !this.#draining.signal.aborted, health: async () => this.#health() },
      streams: this.#draining.signal,
    })
  }

  #health(): object {
    const { state: status, ...reason } = this.#condition()
    const redis = linkHealth(this.#redis.link)
    return { status, ...reason, redis, role: this.#settings.BULK_ROLE, paused: this.#gate.reasons() }
  }

  #condition() {
    return stateWith([
      linkHealth(this.#redis.link).reason,
      ...this.#gate.reasons().map((reason) => `paused: ${reason}`),
    ])
  }
}
