import type { UpstreamPool } from '@ipfleet/proxy/http1/connection-pool.ts'
import type { UpstreamTarget } from '@ipfleet/proxy/http1/exchange-types.ts'
import type { BackendConfig } from '../src/config/edge-config.ts'
import type { HealthVerdict } from '../src/backends/health-check.ts'
import { UpstreamGroup, type UpstreamGroupConfig, type UpstreamGroupDeps } from '../src/backends/upstream-group.ts'

/** A pool that makes no connections, and remembers what was asked of it. */
export interface FakePool extends UpstreamPool {
  readonly connectTimeoutMs: number
  readonly isClosed: boolean
}

export function backend(host: string, options: Partial<BackendConfig> = {}): BackendConfig {
  return { protocol: 'http:', hostname: host, port: 8080, weight: 1, ...options }
}

type Changes = {
  readonly backends: readonly BackendConfig[]
  readonly group?: Partial<UpstreamGroupConfig['group']>
  readonly health?: Partial<UpstreamGroupConfig['health']>
  readonly ejection?: Partial<UpstreamGroupConfig['ejection']>
}

/** Five failures eject for ten seconds; no slow start and no active checks unless asked for. */
export function groupConfig({ backends, group, health, ejection }: Changes): UpstreamGroupConfig {
  return {
    group: {
      backends,
      balance: 'round-robin',
      host: 'client',
      connectTimeoutMs: 1000,
      answerTimeoutMs: 30_000,
      idleTimeoutMs: 30_000,
      maxConnections: 100,
      maxWaiting: 100,
      clientSharePercent: 50,
      keepAliveMs: 4000,
      maxConnectionLifeMs: 300_000,
      resolveMs: 10_000,
      healthPath: undefined,
      ...group,
    },
    health: { path: undefined, intervalMs: 2000, timeoutMs: 1000, healthyAfter: 2, unhealthyAfter: 3, ...health },
    ejection: { failures: 5, ejectMs: 10_000, maxPercent: 50, slowStartMs: 0, ...ejection },
  }
}

/** A group over fake pools, names and checks that a test sets, and all that it tells. */
export class GroupFixture {
  readonly group: UpstreamGroup
  readonly #config: UpstreamGroupConfig
  readonly events: unknown[][] = []
  readonly pools = new Map<string, FakePool>()
  readonly names = new Map<string, readonly string[] | Error | Promise<never>>()
  readonly lookUps: string[] = []
  /** By address; good unless set. */
  readonly verdicts = new Map<string, HealthVerdict | Promise<HealthVerdict>>()

  constructor(config: UpstreamGroupConfig, parts: Partial<UpstreamGroupDeps> = {}) {
    this.#config = config
    this.group = new UpstreamGroup('default', config, {
      createPool: (target, options) => this.#pool(target, options.connectTimeoutMs),
      resolve: (hostname) => this.#resolve(hostname),
      checkHealth: async ({ target }) => this.verdicts.get(target.address) ?? { kind: 'good' },
      random: () => 0.5,
      ...parts,
    })
    this.group.on('joined', (...event) => this.events.push(['joined', ...event]))
    this.group.on('left', (...event) => this.events.push(['left', ...event]))
    this.group.on('ejected', (...event) => this.events.push(['ejected', ...event]))
    this.group.on('returned', (...event) => this.events.push(['returned', ...event]))
    this.group.on('unhealthy', (...event) => this.events.push(['unhealthy', ...event]))
    this.group.on('healthy', (...event) => this.events.push(['healthy', ...event]))
    this.group.on('unresolved', (...event) => this.events.push(['unresolved', ...event]))
  }

  start(): Promise<void> {
    return this.group.configure(this.#config)
  }

  /** What has been told since the last call. */
  told(): unknown[][] {
    return this.events.splice(0)
  }

  /** Who answers each of the next `count` requests, one after the other. */
  answers(count: number, path = '/'): (string | undefined)[] {
    return Array.from({ length: count }, () => {
      const picked = this.group.pick(path, [])
      if (picked !== undefined) this.group.done(picked, 'answered')
      return picked?.id
    })
  }

  /** How many of the next `count` requests a backend gets. */
  share(id: string, count: number): number {
    return this.answers(count).filter((answerer) => answerer === id).length
  }

  /** Sends requests until `id` has failed `count` of them; others answer theirs. */
  fail(id: string, count: number): void {
    let failed = 0
    for (let sent = 0; failed < count && sent < 1000; sent += 1) {
      const picked = this.group.pick('/', [])
      if (picked === undefined) return
      const isToFail = picked.id === id
      if (isToFail) failed += 1
      this.group.done(picked, isToFail ? 'failed' : 'answered')
    }
  }

  states(): Record<string, string> {
    return Object.fromEntries(this.group.snapshots().map(({ id, state }) => [id, state]))
  }

  #pool(target: UpstreamTarget, connectTimeoutMs: number): FakePool {
    const id = `${target.address}:${target.port}`
    const pool = {
      target,
      open: 0,
      idle: 0,
      waiting: 0,
      connectTimeoutMs,
      isClosed: false,
      exchange: () => {
        throw new Error('nothing is sent in these tests')
      },
      configure: (options: { readonly connectTimeoutMs: number }) => {
        pool.connectTimeoutMs = options.connectTimeoutMs
      },
      close: () => {
        pool.isClosed = true
      },
    }
    this.pools.set(id, pool)
    return pool
  }

  async #resolve(hostname: string): Promise<readonly string[]> {
    this.lookUps.push(hostname)
    const answer = (await this.names.get(hostname)) ?? Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })
    if (answer instanceof Error) throw answer
    return answer
  }
}
