import type { Server } from 'node:http'
import { Tunnels } from '@ipfleet/proxy/http1/tunnels.ts'
import { readCertificate } from '@ipfleet/core/certificate-files.ts'
import { CertificateFollower } from '@ipfleet/http-server/certificate.ts'
import { gracefulClose } from '@ipfleet/http-server/graceful-close.ts'
import { listen } from '@ipfleet/http-server/listen.ts'
import { StallWatch } from '@ipfleet/proxy/relay/stall-watch.ts'
import { linkHealth } from '@ipfleet/redis/link-health.ts'
import { AccessLog } from '@ipfleet/telemetry/access-log.ts'
import type { Presence } from '@ipfleet/console/presence/presence.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { Tracer } from '@ipfleet/telemetry/tracing/tracer.ts'
import { createMetrics, type Metrics } from '@ipfleet/telemetry/metrics.ts'
import { App } from './app.ts'
import { Authenticator } from './auth/authenticator.ts'
import { UsersFile } from './auth/users-file.ts'
import { LocalPorts } from './dial/local-ports.ts'
import { ParentDialer } from './dial/parent-dialer.ts'
import { TargetDialer } from './dial/target-dialer.ts'
import { connectionsLog, logEvents, logMode } from './server/event-log.ts'
import { registerMetrics } from './metrics.ts'
import type { EgressOptions } from './server/options.ts'
import { RequestRecord } from './proxy/request-record.ts'
import { ProxyServer } from './server/proxy-server.ts'
import { createSourcePool, looksUpRemotely, poolEntries } from './create-source-pool.ts'
import { type Fleet, createFleet } from './fleet.ts'
import { egressPresence } from './presence.ts'
import { ClientLimits, TunnelLimiter } from './limits/client-limits.ts'
import { listenAddressOf } from './server/listen-address.ts'
import { metricsServer } from './server/metrics-server.ts'
import type { ForwardDeps } from './proxy/forwarded-request.ts'
import { durationsOf, type EgressSettings } from './settings.ts'
import { poolAddresses, type PoolEntry } from './sources/ip-pool.ts'
import type { LiveSourcePool } from './sources/live-source-pool.ts'
import { createSourceCheck } from './sources/source-check.ts'
import { SourceConnections } from './sources/source-connections.ts'
import { TargetPolicy } from '@ipfleet/net/target-policy.ts'
import { lookUpBy } from '@ipfleet/net/dns-look-up.ts'
import { NameLookups } from '@ipfleet/net/name-lookups.ts'
import { OwnAddresses } from '@ipfleet/net/own-addresses.ts'
import { TargetList } from '@ipfleet/net/target-list.ts'

/** The composition root: creates the parts of the forward proxy, starts and stops them. */
export class Egress {
  readonly #settings: EgressSettings
  readonly #durations: ReturnType<typeof durationsOf>
  readonly #logger: Logger
  readonly #tracer: Tracer
  readonly #fleet: Fleet
  readonly #entries: readonly PoolEntry[]
  readonly #names: NameLookups
  readonly #parents: ParentDialer
  readonly #pool: LiveSourcePool
  readonly #connections: SourceConnections
  readonly #users: UsersFile | undefined
  readonly #limits: ClientLimits
  readonly #own: OwnAddresses
  readonly #tunnels: Tunnels
  readonly #server: ProxyServer
  readonly #operators: Server | undefined
  #certificate: CertificateFollower | undefined
  #draining = false
  #presence: Presence | undefined

  constructor({ settings, usersFile }: EgressOptions, logger: Logger, tracer: Tracer) {
    this.#settings = settings
    this.#durations = durationsOf(settings)
    this.#logger = logger
    this.#tracer = tracer
    this.#fleet = createFleet(settings, logger)
    this.#users = usersFile && new UsersFile(usersFile.path, usersFile.users)
    const { clock } = this.#fleet
    const { CONNECT_TIMEOUT_MS: timeoutMs } = settings
    this.#entries = poolEntries(settings)
    const lookUp = lookUpBy(settings.RESOLVER, poolAddresses(this.#entries))
    this.#names = new NameLookups({ lookUp, clock, timeoutMs })
    this.#parents = new ParentDialer({ names: this.#names, clock })
    this.#pool = createSourcePool(settings, this.#entries, this.#fleet, this.#parents, this.#names)
    this.#connections = new SourceConnections(createSourceCheck({ url: undefined, timeoutMs }))
    this.#limits = clientLimits(settings, this.#fleet)
    const prefixes = this.#entries.filter(({ kind }) => kind !== 'parent').map(({ listedAs }) => listedAs)
    this.#own = new OwnAddresses({ clock, blocks: [...new Set(prefixes)].filter((item) => item.includes('/')) })
    this.#tunnels = new Tunnels({
      idleMs: this.#durations.idleTimeoutMs,
      maxBytes: settings.TUNNEL_MAX_BYTES,
      maxMs: this.#durations.maxTunnelMs,
    })
    const metrics = createMetrics()
    const accessLog = new AccessLog({ logger })
    const record = new RequestRecord(metrics, logger)
    const authenticator = this.#authenticator()
    this.#server = new ProxyServer(this.#app(authenticator, record), {
      protocols: settings.PROTOCOLS,
      maxConnections: settings.MAX_CONNECTIONS,
      maxPerClient: settings.MAX_CONNECTIONS_PER_CLIENT,
      onRefused: accessLog.refused,
      onTooMany: connectionsLog(logger),
    })
    registerMetrics(metrics, {
      record,
      limits: this.#limits,
      openTunnels: () => this.#tunnels.count,
      openConnections: () => this.#server.openConnections,
      sources: () => this.#pool.snapshot(),
      link: this.#fleet.redis?.link,
    })
    this.#operators = settings.METRICS_ADDR === 'off' ? undefined : this.#metricsServer(metrics, accessLog)
    logEvents(logger, { pool: this.#pool, authenticator, users: this.#users })
  }

  /** @throws ListenError */
  async start(): Promise<void> {
    const { METRICS_ADDR: metricsAt } = this.#settings
    await this.#pool.start()
    this.#users?.follow()
    if (this.#operators && metricsAt !== 'off') {
      const port = await listen(this.#operators, metricsAt)
      this.#own.addListener({ host: metricsAt.host, port })
      this.#logger.info({ host: metricsAt.host, port }, 'metrics at /metrics')
    }
    const { narrowed, ...at } = listenAddressOf(this.#settings, this.#settings.LISTEN_ADDR)
    const port = await this.#server.listen(at)
    this.#own.addListener({ host: at.host, port })
    const link = this.#fleet.redis?.link
    this.#presence =
      link &&
      egressPresence({
        link,
        port,
        sources: () => this.#pool.snapshot(),
        connections: () => this.#connections.counts(),
      })
    const isTlsNarrowed = await this.#listenSecurely()
    logMode(this.#logger, this.#settings, { narrowed: narrowed || isTlsNarrowed })
    this.#logger.info({ host: at.host, port }, 'listening')
  }

  /** Accepts nothing new, lets tunnels and requests end, then closes everything in reverse order of opening. */
  async stop(): Promise<void> {
    const { DRAIN_MS: graceMs } = this.#settings
    this.#logger.info('stopping')
    const onDraining = (): void => void (this.#draining = true)
    await Promise.all([
      this.#server.close({ deadlineMs: graceMs + closeWithinMs, onDraining }),
      this.#tunnels.drain(graceMs),
    ])
    this.#certificate?.close()
    if (this.#operators) await gracefulClose(this.#operators, { drainMs: 0, deadlineMs: 0 })
    this.#users?.close()
    await this.#presence?.close()
    this.#pool.close()
    await this.#limits.close()
    await this.#fleet.close()
    await this.#tracer.close()
    this.#logger.info('stopped')
  }

  /**
   * Where TLS_LISTEN_ADDR says, if it does, with the certificate as it is in its files at any time.
   * @returns whether that is loopback only, for want of users
   */
  async #listenSecurely(): Promise<boolean> {
    const { TLS_LISTEN_ADDR: given, TLS_CERT: cert, TLS_KEY: key } = this.#settings
    if (given === undefined || cert === undefined || key === undefined) return false
    const { narrowed, ...at } = listenAddressOf(this.#settings, given)
    const files = { cert, key }
    const port = await this.#server.listenSecurely(at, readCertificate(files))
    this.#own.addListener({ host: at.host, port })
    this.#certificate = new CertificateFollower(files, (renewed) => this.#server.renew(renewed), this.#logger)
    this.#logger.info({ host: at.host, port }, 'listening for TLS')
    return narrowed
  }

  #metricsServer(metrics: Metrics, accessLog: AccessLog): Server {
    const link = this.#fleet.redis?.link
    return metricsServer({ metrics, accessLog, isReady: () => !this.#draining, redis: () => link && linkHealth(link) })
  }

  #authenticator(): Authenticator {
    const { PROXY_USER: user, PROXY_PASS: password, RATE_LIMIT_REFILL: refillPerSecond } = this.#settings
    return new Authenticator({
      credentials: user === undefined || password === undefined ? undefined : { user, password },
      users: () => this.#users?.users,
      refillPerSecond,
      clock: this.#fleet.clock,
    })
  }

  #app(authenticator: Authenticator, record: RequestRecord): App {
    const settings = this.#settings
    const caps = { maxTunnels: settings.MAX_TUNNELS, maxTunnelsPerClient: settings.MAX_TUNNELS_PER_CLIENT }
    const tunnelLimiter = new TunnelLimiter(this.#tunnels, caps, record)
    const targets = this.#targets(record)
    const forward = this.#forwardDeps(tunnelLimiter, targets)
    const tracer = this.#tracer
    return new App({ authenticator, limits: this.#limits, targets, forward, tunnelLimiter, record, tracer })
  }

  #targets(record: RequestRecord): TargetDialer {
    const settings = this.#settings
    const { clock } = this.#fleet
    const { CONNECT_TIMEOUT_MS: connectTimeoutMs } = settings
    const connections = this.#connections
    this.#pool.on('notOurs', (id) => connections.end(id))
    return new TargetDialer({
      policy: new TargetPolicy({
        connectPorts: settings.CONNECT_PORTS,
        allow: new TargetList(settings.ALLOW_TARGETS),
        deny: new TargetList(settings.DENY_TARGETS),
        own: this.#own,
        names: this.#entries.every(looksUpRemotely) ? undefined : this.#names,
      }),
      pool: this.#pool,
      ports: LocalPorts.ofSystem(),
      parents: this.#parents,
      clock,
      connections,
      connectTimeoutMs,
      record,
    })
  }

  #forwardDeps(tunnelLimiter: TunnelLimiter, targets: TargetDialer): ForwardDeps {
    const settings = this.#settings
    const { answerTimeoutMs, idleTimeoutMs } = this.#durations
    return {
      tunnels: this.#tunnels,
      tunnelLimiter,
      targets,
      stalls: new StallWatch(),
      sendTimeoutMs: idleTimeoutMs,
      uploads: { bodyTimeoutMs: idleTimeoutMs, minBodyBytesPerSecond: minBytesPerSecond },
      timeouts: { answerTimeoutMs, idleTimeoutMs },
      disclosure: { forwardedFor: settings.X_FORWARDED_FOR, realIp: settings.X_REAL_IP, via: settings.VIA },
      onBlocked: ({ source, authority: site }) => {
        if (source && site !== undefined) this.#pool.report(source, site, 'refused_by_site')
      },
    }
  }
}

/** After the grace, tunnels have this long to close. */
const closeWithinMs = 1000
/** An upload that is slower than this for longer than the idle timeout is given up. */
const minBytesPerSecond = 100

function clientLimits(settings: EgressSettings, { limiter }: Fleet): ClientLimits {
  const { RATE_LIMIT_BURST: burst, RATE_LIMIT_REFILL: refillPerSecond } = settings
  return new ClientLimits(limiter, burst === 0 ? undefined : { kind: 'token-bucket', burst, refillPerSecond })
}
