import { EventEmitter } from 'node:events'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import { wholeSeconds } from '@ipfleet/core/whole-seconds.ts'
import type { PoolOptions, UpstreamPool } from '@ipfleet/proxy/http1/connection-pool.ts'
import type { UpstreamTarget } from '@ipfleet/proxy/http1/exchange-types.ts'
import type { EjectionConfig, GroupConfig, HealthConfig } from '../config/edge-config.ts'
import { type AttemptEnd, Backend, type BackendSnapshot } from './backend.ts'
import { type BackendEvents, BackendSet } from './backend-set.ts'
import { alignTurns, balancers, roundRobin } from './balancers.ts'
import { DnsWatcher, lookUpAll, type Resolve } from './dns-watcher.ts'
import { type Endpoint, endpointsOf, namesOf } from './endpoints.ts'
import { checkHealth, type HealthCheck } from './health-check.ts'
import { HealthChecker } from './health-checker.ts'
import { LatencyEstimate } from './latency-estimate.ts'

export interface UpstreamGroupConfig {
  readonly group: GroupConfig
  readonly health: HealthConfig
  readonly ejection: EjectionConfig
}

export interface UpstreamGroupDeps {
  readonly createPool: (target: UpstreamTarget, options: PoolOptions) => UpstreamPool
  readonly resolve?: Resolve
  readonly checkHealth?: HealthCheck
  readonly clock?: Clock
  /** From 0 to 1: who is first, and when checks and look-ups come. */
  readonly random?: () => number
}

interface UpstreamGroupEvents extends BackendEvents {
  joined: [backend: string]
  left: [backend: string]
  /** The addresses known before stay in use. `code` as of `dns`: `ENOTFOUND`, `EAI_AGAIN`. */
  unresolved: [hostname: string, code: string]
}

/** A group whose backends come and go: by the addresses of their names, by active checks, by what the traffic tells. */
export class UpstreamGroup extends EventEmitter<UpstreamGroupEvents> {
  readonly name: string
  /** Of requests that may be hedged. */
  readonly latency: LatencyEstimate
  readonly #deps: Required<UpstreamGroupDeps>
  readonly #dns: DnsWatcher
  readonly #backends: BackendSet
  #config: UpstreamGroupConfig
  /** Ejected backends that have been asked all the same. */
  readonly #asked = new WeakSet<Backend>()
  #started = false
  #configurations = 0

  constructor(name: string, config: UpstreamGroupConfig, deps: UpstreamGroupDeps) {
    super()
    this.name = name
    this.#config = config
    this.#deps = { resolve: lookUpAll, checkHealth, clock: monotonicClock, random: Math.random, ...deps }
    this.latency = new LatencyEstimate(this.#deps.clock)
    this.#backends = new BackendSet(config.ejection, this.#deps.clock, this)
    this.#dns = new DnsWatcher(this.#deps)
    this.#dns.on('unresolved', (hostname, code) => this.emit('unresolved', hostname, code))
    this.#dns.on('changed', () => {
      // Until then the start waits for all names, so that no backend counts as late.
      if (this.#started) this.#update()
    })
  }

  get config(): GroupConfig {
    return this.#config.group
  }

  /**
   * Starts the group too. Backends that stay keep their state, counts and connections; those that go finish what they
   * have begun. Takes effect when new names have been looked up, after two seconds at the latest. Never rejects; the last
   * call wins.
   */
  async configure(config: UpstreamGroupConfig): Promise<void> {
    const configuration = ++this.#configurations
    const { backends, resolveMs } = config.group
    const names = namesOf(backends)
    await this.#dns.watch(names, resolveMs)
    if (configuration !== this.#configurations) return
    this.#started = true
    this.#config = config
    this.#dns.keepOnly(names, resolveMs)
    this.#backends.configure(config.ejection)
    this.#update()
    for (const { pool } of this.#backends.all) pool.configure(config.group)
  }

  /** Requests under way go on to their end. */
  close(): void {
    this.#configurations += 1
    this.removeAllListeners()
    this.#dns.close()
    for (const backend of this.#backends.all) backend.close()
    this.#backends.replace([])
  }

  /**
   * The next backend for a request, counted as under way there until `done`. `target` is read by `hash`; `tried` are not
   * chosen again. Undefined when no backend is left.
   */
  pick(target: string, tried: readonly Backend[]): Backend | undefined {
    return this.#pickFrom(this.#eligible, target, tried)
  }

  /**
   * As `pick`, among the ejected: for a request that no other can take. One that answers is back at once. Otherwise,
   * when the last that is up dies, none would be asked that may be well again.
   */
  pickEjected(target: string, tried: readonly Backend[]): Backend | undefined {
    const backend = this.#pickFrom(this.#backends.ejected, target, tried)
    if (backend !== undefined) this.#asked.add(backend)
    return backend
  }

  /** @param reason of one that failed */
  done(backend: Backend, end: AttemptEnd, reason = 'failed'): void {
    backend.inFlight -= 1
    if (end === 'unknown') return
    const wasAsked = this.#asked.delete(backend)
    if (end === 'answered') {
      if (wasAsked && this.#backends.ejected.includes(backend)) this.#backends.readmit(backend)
      backend.ejection.answered()
      return
    }
    this.#backends.failed(backend)
    this.#doubt(backend, reason)
  }

  /** The next request is the one after so many, as other processes count them too. */
  align(turns: number): void {
    if (balancers[this.config.balance] === roundRobin) alignTurns(this.#backends.up, turns)
  }

  /** Whether `pick` would give a backend. */
  get usable(): boolean {
    return this.#eligible.length > 0
  }

  /** When a backend may be back, for Retry-After: whole seconds, at least 1. */
  retryAfterSeconds(): number {
    return wholeSeconds(this.#waitMs())
  }

  snapshots(): readonly BackendSnapshot[] {
    // Brings the weights up to date.
    void this.#backends.up
    return this.#backends.all.map((backend) => backend.snapshot())
  }

  /**
   * The backends that get requests: those that are up. When none is, those that are only late for their checks, for
   * `answerTimeoutMs`. Busy backends that got no requests would answer none at all (compare the panic threshold of
   * Envoy). A backend that refuses or says that it is not ready is believed.
   */
  get #eligible(): readonly Backend[] {
    const { up, all } = this.#backends
    if (up.length > 0) return up
    const { answerTimeoutMs } = this.config
    return all.filter(({ state, checker }) => state === 'unhealthy' && checker?.isLate(answerTimeoutMs))
  }

  #pickFrom(backends: readonly Backend[], target: string, tried: readonly Backend[]): Backend | undefined {
    const backend = balancers[this.config.balance](backends, target, tried)
    if (backend !== undefined) backend.inFlight += 1
    return backend
  }

  /** Its address may have been that of a container which is gone. */
  #doubt(backend: Backend, reason: string): void {
    backend.lastError = { reason, atMs: Date.now() }
    if (backend.hostname !== undefined) this.#dns.lookSoon(backend.hostname)
  }

  /** Until a backend may be up. When none is, all are unhealthy, or no name has an address. */
  #waitMs(): number {
    const { all } = this.#backends
    if (this.usable) return 0
    if (all.length === 0) return this.#dns.dueInMs
    return Math.min(...all.map(({ checker }) => checker?.healthyInMs ?? 0))
  }

  /** One backend for each endpoint. Those that were there stay. */
  #update(): void {
    const before = this.#backends.all
    const endpoints = endpointsOf(this.config.backends, (hostname) => this.#dns.addressesOf(hostname))
    const backends = endpoints.map(
      (endpoint) => before.find((backend) => backend.update(endpoint)) ?? this.#createBackend(endpoint),
    )
    this.#backends.replace(backends)
    for (const backend of before.filter((held) => !backends.includes(held))) {
      backend.close()
      this.emit('left', backend.id)
    }
    for (const backend of backends) {
      if (!before.includes(backend)) this.emit('joined', backend.id)
      this.#attend(backend)
    }
  }

  #createBackend(endpoint: Endpoint): Backend {
    const pool = this.#deps.createPool(endpoint.target, this.config)
    // Decides between equals only: processes that start together then differ in which is first.
    const firstTurn = this.#deps.random() * 1e-6
    return new Backend(endpoint, pool, firstTurn, (backend) => this.#backends.readmit(backend))
  }

  /** Has a backend checked, or not checked any more, as configured. */
  #attend(backend: Backend): void {
    if (this.#healthPath !== '') {
      if (backend.checker !== undefined) return backend.checker.configure(this.#config.health)
      backend.checker = this.#checkerOf(backend)
      return backend.checker.start()
    }
    backend.checker?.close()
    backend.checker = undefined
    if (backend.state === 'unhealthy') this.#backends.bringBack(backend)
  }

  #checkerOf(backend: Backend): HealthChecker {
    const { authority, pool } = backend
    const check = (signal: AbortSignal) => {
      const { timeoutMs } = this.#config.health
      return this.#deps.checkHealth({ target: pool.target, authority, path: this.#healthPath, timeoutMs }, signal)
    }
    const checker = new HealthChecker(this.#config.health, { ...this.#deps, check })
    checker.on('healthy', () => this.#backends.bringBack(backend))
    checker.on('unhealthy', (reason) => {
      this.#backends.takeOut(backend, reason)
      this.#doubt(backend, reason)
    })
    return checker
  }

  /** '' when there are no active checks. */
  get #healthPath(): string {
    const { group, health } = this.#config
    return group.healthPath ?? health.path ?? ''
  }
}
