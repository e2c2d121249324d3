import { ConnectionPool } from '@ipfleet/proxy/http1/connection-pool.ts'
import type { SharedQuota } from '@ipfleet/proxy/http1/shared-quota.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { EdgeConfig } from '../config/edge-config.ts'
import { HedgeWatch } from '../proxy/hedge-watch.ts'
import { UpstreamGroup, type UpstreamGroupConfig } from './upstream-group.ts'

/** By name. */
export type Groups = ReadonlyMap<string, UpstreamGroup>

/** The groups of the configuration in force, over reloads. */
export class UpstreamGroups {
  /** How often a backend was ejected, by group. */
  readonly ejections = new Map<string, number>()
  /** Requests that wait for the answer of a backend. */
  readonly hedges = new HedgeWatch()
  readonly #logger: Logger
  readonly #longSlots: SharedQuota
  #all: Groups = new Map()

  /** `longSlots`: for the event streams and other long answers of all groups. */
  constructor(logger: Logger, longSlots: SharedQuota) {
    this.#logger = logger
    this.#longSlots = longSlots
  }

  get all(): Groups {
    return this.#all
  }

  /** Whether every group has a backend that can answer. */
  get usable(): boolean {
    return [...this.#all.values()].every(({ usable }) => usable)
  }

  /**
   * Groups that stay keep what they know. Resolves when new names have been looked up, after two seconds at the latest.
   * @returns closes the groups that are gone; to be called when nothing refers to them any more
   */
  async configure({ groups, health, ejection }: EdgeConfig): Promise<() => void> {
    const before = this.#all
    const configured = Object.entries(groups).map(async ([name, group]) => {
      const config = { group, health, ejection }
      const live = before.get(name) ?? this.#create(name, config)
      await live.configure(config)
      return [name, live] as const
    })
    const now = new Map(await Promise.all(configured))
    this.#all = now
    return () => {
      for (const [name, group] of before) if (!now.has(name)) group.close()
    }
  }

  align(turns: number): void {
    for (const group of this.#all.values()) group.align(turns)
  }

  close(): void {
    for (const group of this.#all.values()) group.close()
  }

  #create(name: string, config: UpstreamGroupConfig): UpstreamGroup {
    const group = new UpstreamGroup(name, config, {
      createPool: (target, options) => new ConnectionPool(target, options, this.#longSlots),
    })
    this.#listen(group)
    return group
  }

  #listen(group: UpstreamGroup): void {
    const logger = this.#logger
    const { name } = group
    group.on('joined', (backend) => logger.info({ group: name, backend }, 'backend joined'))
    group.on('left', (backend) => logger.info({ group: name, backend }, 'backend left'))
    group.on('healthy', (backend) => logger.info({ group: name, backend }, 'backend is healthy'))
    group.on('returned', (backend) => logger.info({ group: name, backend }, 'backend is back'))
    group.on('unhealthy', (backend, reason) => {
      logger.warn({ group: name, backend, reason }, 'backend is unhealthy')
      this.#hedgeAll(backend)
    })
    group.on('ejected', (backend, lastsMs) => {
      this.ejections.set(name, (this.ejections.get(name) ?? 0) + 1)
      logger.warn({ group: name, backend, seconds: Math.ceil(lastsMs / 1000) }, 'backend ejected: too many failures')
      this.#hedgeAll(backend)
    })
    group.on('unresolved', (backend, code) => {
      logger.warn({ group: name, backend, code }, 'backend name cannot be looked up; its last addresses stay in use')
    })
  }

  /** Later: by then it is settled which backends are up. */
  #hedgeAll(backend: string): void {
    queueMicrotask(() => this.hedges.free(backend))
  }
}
