import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import type { Subscriber } from '@ipfleet/redis/subscriber.ts'
import type {
  Bench,
  BenchReason,
  KeyLimits,
  KeyReturn,
  KeyState,
  KeyStore,
  Lesson,
  TakeOptions,
  Taken,
} from './key-store.ts'
import type { LocalKeyStore } from './local-key-store.ts'
import type { KeyQuota, QuotaReport } from './quota.ts'
import { keysChannel, type RedisKeyStore } from './redis-key-store.ts'

/**
 * The fleet's key state while Redis answers, this process's own while it does not. Benches of the whole fleet are
 * remembered locally all along, so that nothing is forgotten when Redis goes; those that still run are published
 * when it returns. So are quotas as they were last read: each replica then counts down for itself, and what they
 * overspend together ends in benches.
 */
export class ResilientKeyStore implements KeyStore {
  readonly #fleet: RedisKeyStore
  readonly #own: LocalKeyStore

  constructor(fleet: RedisKeyStore, own: LocalKeyStore, link: RedisLink, subscriber: Subscriber) {
    this.#fleet = fleet
    this.#own = own
    void subscriber.subscribe(keysChannel(link.names), (message) => void this.#adopt(message))
    link.on('up', () => void this.#republish())
  }

  take(ids: readonly string[], options?: TakeOptions): Promise<Taken> {
    return this.#fleetOrOwn((store) => store.take(ids, options))
  }

  giveBack(id: string, units: number, products?: readonly string[]): Promise<void> {
    return this.#fleetOrOwn((store) => store.giveBack(id, units, products))
  }

  returnOf(ids: readonly string[], options?: TakeOptions): Promise<KeyReturn> {
    return this.#fleetOrOwn((store) => store.returnOf(ids, options))
  }

  async bench(bench: Bench): Promise<number> {
    const { doublingUpToMs: _, ...exact } = bench
    const durationMs = await this.#fleetOrOwn((store) => store.bench(bench))
    // As long as the fleet says: strikes counted here may miss a recovery that another replica has seen.
    await this.#own.bench({ ...exact, durationMs })
    return durationMs
  }

  async endTrial(id: string, result: 'recovered' | 'unknown', products?: readonly string[]): Promise<void> {
    await this.#own.endTrial(id, result, products)
    await this.#fleetOrOwn((store) => store.endTrial(id, result, products))
  }

  async learn(lesson: Lesson): Promise<void> {
    await this.#own.learn(lesson)
    await this.#fleetOrOwn((store) => store.learn(lesson))
  }

  async release(id: string): Promise<void> {
    await this.#own.release(id)
    await this.#fleetOrOwn((store) => store.release(id))
  }

  /** Also how a replica that has joined late, or has lost messages, learns what it must remember. */
  async read(ids: readonly string[], limits?: KeyLimits): Promise<KeyState[]> {
    const states = await this.#fleetOrOwn((store) => store.read(ids, limits))
    for (const { id, state, reason, remainingMs = 0, products = [] } of states) {
      for (const one of products) {
        await this.#own.bench({ id, product: one.product, reason: one.reason, durationMs: one.remainingMs })
      }
      const isBench = state === 'cooling' && reason !== undefined && reason !== 'exhausted'
      if (isBench) await this.#own.bench({ id, reason, durationMs: remainingMs })
    }
    return states
  }

  async reportQuota(report: QuotaReport): Promise<void> {
    try {
      await this.#fleet.reportQuota(report)
      await this.#believe(report)
    } catch (error) {
      if (!(error instanceof RedisUnavailable)) throw error
      await this.#own.reportQuota(report)
    }
  }

  quotas(ids: readonly string[]): Promise<KeyQuota[]> {
    return this.#fleetOrOwn((store) => store.quotas(ids))
  }

  async #fleetOrOwn<T>(use: (store: KeyStore) => Promise<T>): Promise<T> {
    try {
      return await use(this.#fleet)
    } catch (error) {
      if (error instanceof RedisUnavailable) return use(this.#own)
      throw error
    }
  }

  /** Another replica has benched a key, seen it recover, released it or read its quota. */
  async #adopt(message: string): Promise<void> {
    const change = changeIn(message)
    if (change === undefined) return
    const { id, product, state, reason = 'limited', remainingMs = 0, status, quota } = change
    const scope = { id, ...(product !== undefined && { product }) }
    const said = status === undefined ? {} : { status }
    if (state === 'cooling') await this.#own.bench({ ...scope, ...said, reason, durationMs: remainingMs })
    else if (state === 'active') await this.#own.endTrial(id, 'recovered', product === undefined ? [] : [product])
    else if (state === 'released') await this.#own.release(id)
    else if (quota) await this.#believe({ ...quota, ...scope })
  }

  /** What the fleet counts is not counted here as well, so a report from there is taken as it is. */
  async #believe(report: QuotaReport): Promise<void> {
    const [own] = await this.#own.quotas([report.id])
    await this.#own.reportQuota({ ...report, takenBefore: own?.taken ?? 0 })
  }

  async #republish(): Promise<void> {
    try {
      for (const bench of this.#own.running()) await this.#fleet.bench(bench)
    } catch {
      // Gone again; the next `up` tries again.
    }
  }
}

/** A message of the channel. */
interface Change {
  readonly id: string
  readonly product?: string
  readonly state?: KeyState['state'] | 'released'
  readonly reason?: BenchReason
  readonly remainingMs?: number
  readonly status?: number
  readonly quota?: Omit<QuotaReport, 'id'>
}

/** Undefined for what is no message of this version. */
function changeIn(message: string): Change | undefined {
  try {
    const change = JSON.parse(message) as Change | null
    return typeof change?.id === 'string' ? change : undefined
  } catch {
    return undefined
  }
}
