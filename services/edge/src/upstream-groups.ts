import { ConnectionPool } from '@ipfleet/proxy/http1/connection-pool.ts'
import type { SharedQuota } from '@ipfleet/proxy/http1/shared-quota.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { EdgeConfig, GroupConfig } from './config/edge-config.ts'
import { HedgeWatch } from './proxy/hedge-watch.ts'
import { LiveGroup, type LiveGroupConfig } from './upstreams/live-group.ts'

export type GroupPlaces = ReadonlyMap<string, { readonly group: LiveGroup; readonly config: GroupConfig }>

/** The groups of the configuration in force, over reloads. */
export class UpstreamGroups {
  /** How often a member was ejected, by group. */
  readonly ejections = new Map<string, number>()
  readonly #logger: Logger
  readonly #longSlots: SharedQuota
  /** Requests that wait for the answer of a backend. */
  readonly hedges = new HedgeWatch()
  #places: GroupPlaces = new Map()

  /** `longSlots`: for the event streams and other long answers of all groups. */
  constructor(logger: Logger, longSlots: SharedQuota) {
    this.#logger = logger
    this.#longSlots = longSlots
  }

  get places(): GroupPlaces {
    return this.#places
  }

  /** Whether every group has somebody to answer. */
  get usable(): boolean {
    return [...this.#places.values()].every(({ group }) => group.usable)
  }

  /**
   * Groups that stay keep what they know. Resolves when new names have been looked up, after two seconds at the
   * latest; those that are gone are closed by `closeGone`, when nothing refers to them any more.
   */
  async configure({ groups, health, ejection }: EdgeConfig): Promise<{ places: GroupPlaces; closeGone: () => void }> {
    const before = this.#places
    const places = new Map(
      await Promise.all(
        Object.entries(groups).map(async ([name, config]) => {
          const group = await this.#settled(before.get(name)?.group, name, { group: config, health, ejection })
          return [name, { group, config }] as const
        }),
      ),
    )
    this.#places = places
    const closeGone = (): void => {
      for (const [name, { group }] of before) if (!places.has(name)) group.close()
    }
    return { places, closeGone }
  }

  /** See `LiveGroup.align`. */
  align(turns: number): void {
    for (const { group } of this.#places.values()) group.align(turns)
  }

  close(): void {
    for (const { group } of this.#places.values()) group.close()
  }

  async #settled(known: LiveGroup | undefined, name: string, config: LiveGroupConfig): Promise<LiveGroup> {
    if (known) {
      await known.configure(config)
      return known
    }
    const group = new LiveGroup(name, config, {
      createPool: (target, options) => new ConnectionPool(target, options, this.#longSlots),
    })
    this.#log(group)
    await group.start()
    return group
  }

  #log(group: LiveGroup): void {
    const logger = this.#logger
    const { name } = group
    group.on('joined', (backend) => logger.info({ group: name, backend }, 'backend joined'))
    group.on('left', (backend) => logger.info({ group: name, backend }, 'backend left'))
    group.on('unhealthy', (backend, reason) => logger.warn({ group: name, backend, reason }, 'backend is unhealthy'))
    // Later: who is up is settled then.
    group.on('unhealthy', (backend) => queueMicrotask(() => this.hedges.free(backend)))
    group.on('ejected', (backend) => queueMicrotask(() => this.hedges.free(backend)))
    group.on('healthy', (backend) => logger.info({ group: name, backend }, 'backend is healthy'))
    group.on('returned', (backend) => logger.info({ group: name, backend }, 'backend is back'))
    group.on('unresolved', (hostname, code) => {
      logger.warn({ group: name, hostname, code }, 'backend name cannot be looked up; its last addresses stay in use')
    })
    group.on('ejected', (backend, lastsMs) => {
      this.ejections.set(name, (this.ejections.get(name) ?? 0) + 1)
      logger.warn({ group: name, backend, seconds: Math.ceil(lastsMs / 1000) }, 'backend ejected: too many failures')
    })
  }
}
