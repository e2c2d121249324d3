import cluster from 'node:cluster'
import { Tunnels } from '@ipfleet/proxy/http1/tunnels.ts'
import { addressBlocks } from '@ipfleet/net/address-blocks.ts'
import { clientAddress } from '@ipfleet/net/client-address.ts'
import { linkHealth } from '@ipfleet/redis/link-health.ts'
import { AccessLog } from '@ipfleet/telemetry/access-log.ts'
import type { Presence } from '@ipfleet/console/presence/presence.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { Tracer } from '@ipfleet/telemetry/tracing/tracer.ts'
import { createApp } from './app.ts'
import type { EdgeConfig } from './config/edge-config.ts'
import { registerMetrics } from './metrics.ts'
import type { ClientLimiter } from './limits/client-limiter.ts'
import { ClientShares } from './limits/client-shares.ts'
import { LimiterFactory } from './limits/limiter-factory.ts'
import { edgePresence } from './presence.ts'
import { AttemptsRecord, RetryBudget } from './proxy/retries.ts'
import { StallWatch } from '@ipfleet/proxy/relay/stall-watch.ts'
import { RequestRecord } from './proxy/request-record.ts'
import { makeRules, type Rules } from './server/rules.ts'
import { readCertificate } from '@ipfleet/core/certificate-files.ts'
import { CertificateFollower } from '@ipfleet/http-server/certificate.ts'
import { EdgeServer } from './server/edge-server.ts'
import { type EdgeSettings, finishWithinMs } from './settings.ts'
import { UpstreamGroups } from './backends/upstream-groups.ts'
import type { Serving, ServingDeps } from './workers/serving.ts'

export interface EdgeDeps {
  readonly settings: EdgeSettings
  readonly logger: Logger
  readonly tracer: Tracer
  readonly servingDeps: ServingDeps
}

/** One process of the edge: all its deps, put together and taken apart again. */
export class Edge implements Serving<EdgeConfig> {
  readonly host: string
  readonly #deps: EdgeDeps
  readonly #groups: UpstreamGroups
  readonly #shares: ClientShares
  readonly #limits: LimiterFactory
  readonly #budget: RetryBudget
  readonly #tunnels: Tunnels
  readonly #stalls = new StallWatch()
  readonly #attempts = new AttemptsRecord()
  readonly #server: EdgeServer
  readonly #certificate: CertificateFollower | undefined
  #config: EdgeConfig
  #rules: Rules
  #port = 0
  #draining = false
  #presence: Presence | undefined

  /** @throws Error with the reason in plain words: a port that is taken, a certificate that cannot be used */
  static async start(config: EdgeConfig, deps: EdgeDeps): Promise<Edge> {
    const shares = new ClientShares(config.server, deps.logger)
    const groups = new UpstreamGroups(deps.logger, shares.longAnswers)
    await groups.configure(config)
    const edge = new Edge(config, deps, groups, shares)
    edge.#port = await edge.#server.listen(config.server)
    const { link } = edge.#limits
    edge.#presence = link && edgePresence({ link, port: edge.#port, groups: () => groups.all })
    return edge
  }

  private constructor(config: EdgeConfig, deps: EdgeDeps, groups: UpstreamGroups, shares: ClientShares) {
    const { settings, logger, servingDeps } = deps
    this.#deps = deps
    this.#config = config
    this.#groups = groups
    this.#shares = shares
    this.host = config.server.host
    this.#limits = new LimiterFactory(settings, servingDeps, logger)
    this.#budget = new RetryBudget(config.retry)
    this.#tunnels = new Tunnels({ idleMs: config.server.tunnelIdleMs })
    this.#rules = this.#makeRules(config, this.#limits.limiterFor(config.rateLimit))
    this.#server = this.#createServer(config)
    servingDeps.onAssigned((ordinal) => groups.align(ordinal))
    const { tls } = config
    this.#certificate = tls && new CertificateFollower(tls, (renewed) => this.#server.renew(tls, renewed), logger)
    registerMetrics(servingDeps.metrics, {
      groups,
      limits: this.#limits,
      shares: this.#shares,
      tunnels: this.#tunnels,
      server: this.#server,
      attempts: this.#attempts,
    })
  }

  get port(): number {
    return this.#port
  }

  /** What began under the old rules ends under them. */
  async reconfigure(config: EdgeConfig): Promise<void> {
    this.#warnOfWhatWaits(config)
    this.#shares.configure(config.server)
    const closeGone = await this.#groups.configure(config)
    const { limiter: before } = this.#rules
    this.#config = config
    this.#budget.configure(config.retry)
    this.#tunnels.configure({ idleMs: config.server.tunnelIdleMs })
    this.#rules = this.#makeRules(config, this.#limits.limiterFor(config.rateLimit))
    this.#server.configure(config.server)
    closeGone()
    await before?.close()
  }

  /** Fails the probe, finishes what is in flight, then closes what was opened, last things first. */
  async stop(): Promise<void> {
    const { DRAIN_MS: drainMs } = this.#deps.settings
    const tunnels = this.#tunnels.drain(drainMs)
    await this.#server.close({ drainMs, deadlineMs: finishWithinMs, onDraining: () => (this.#draining = true) })
    await tunnels
    this.#certificate?.close()
    this.#groups.close()
    await this.#rules.limiter?.close()
    await this.#presence?.close()
    await this.#limits.close()
    await this.#deps.tracer.close()
  }

  #makeRules(config: EdgeConfig, limiter: ClientLimiter | undefined): Rules {
    return makeRules(config, {
      limiter,
      groups: this.#groups.all,
      forward: {
        shares: this.#shares,
        hedges: this.#groups.hedges,
        tunnels: this.#tunnels,
        stalls: this.#stalls,
        budget: this.#budget,
        record: this.#attempts,
      },
      operators: {
        metricsPage: (format) => this.#deps.servingDeps.render(format),
        isReady: () => !this.#draining && this.#groups.usable,
        redis: () => this.#limits.link && linkHealth(this.#limits.link),
      },
    })
  }

  #createServer(config: EdgeConfig): EdgeServer {
    const { settings, logger, tracer, servingDeps } = this.#deps
    const accessLog = new AccessLog({ logger })
    const record = new RequestRecord(servingDeps.metrics, accessLog)
    const isTrusted = addressBlocks(settings.TRUST_PROXY)
    return new EdgeServer({
      config: config.server,
      tls: config.tls,
      certificate: config.tls && readCertificate(config.tls),
      shares: this.#shares,
      app: createApp({
        rules: () => this.#rules,
        clientAddress: clientAddress({ trusted: settings.TRUST_PROXY }),
        isTrusted,
        tracer,
        record,
        onOwnAnswer: (answer) => this.#stalls.addUnread(answer, this.#config.server.sendTimeoutMs),
      }),
      onRefused: accessLog.refused,
      isTrusted,
      fastLane: settings.FAST_LANE === 'on',
    })
  }

  /** What a process is given at its start and cannot change. */
  #warnOfWhatWaits(config: EdgeConfig): void {
    const { server: now, tls } = this.#config
    const { server: next } = config
    const waits = [
      ...(now.host === next.host && now.port === next.port ? [] : ['[server] listen']),
      // One process is no primary that could start others, nor end itself.
      ...(cluster.isWorker || now.workers === next.workers ? [] : ['[server] workers']),
      ...(now.maxHeaderBytes === next.maxHeaderBytes ? [] : ['[server] max_header_bytes']),
      ...(now.maxHeaders === next.maxHeaders || tls?.http2 !== true ? [] : ['[server] max_headers (over HTTP/2)']),
      ...(JSON.stringify(tls) === JSON.stringify(config.tls) ? [] : ['[tls]']),
    ]
    if (waits.length > 0) this.#deps.logger.warn({ keys: waits }, 'changed, but only a restart puts it in force')
  }
}
