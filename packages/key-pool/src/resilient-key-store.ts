import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import type { Subscriber } from '@ipfleet/redis/subscriber.ts'
import type { Bench, KeyState, KeyStore, Taken } from './key-store.ts'
import type { LocalKeyStore } from './local-key-store.ts'
import { keysChannel, type RedisKeyStore } from './redis-key-store.ts'

/**
 * The fleet's key state while Redis answers, this process's own while it does not. Benches of the whole fleet are
 * remembered locally all along, so that nothing is forgotten when Redis goes; those that still run are published
 * when it returns.
 */
export class ResilientKeyStore implements KeyStore {
  readonly #fleet: RedisKeyStore
  readonly #own: LocalKeyStore

  constructor(fleet: RedisKeyStore, own: LocalKeyStore, link: RedisLink, subscriber: Subscriber) {
    this.#fleet = fleet
    this.#own = own
    void subscriber.subscribe(keysChannel, (message) => void this.#adopt(message))
    link.on('up', () => void this.#republish())
  }

  take(ids: readonly string[]): Promise<Taken> {
    return this.#fleetOrOwn((store) => store.take(ids))
  }

  async bench(bench: Bench): Promise<number> {
    const { id, reason } = bench
    try {
      const durationMs = await this.#fleet.bench(bench)
      // As long as the fleet says: strikes counted here may miss a recovery that another replica has seen.
      await this.#own.bench({ id, reason, durationMs })
      return durationMs
    } catch (error) {
      if (error instanceof RedisUnavailable) return this.#own.bench(bench)
      throw error
    }
  }

  async endTrial(id: string, result: 'recovered' | 'unknown'): Promise<void> {
    await this.#own.endTrial(id, result)
    await this.#fleetOrOwn((store) => store.endTrial(id, result))
  }

  read(ids: readonly string[]): Promise<KeyState[]> {
    return this.#fleetOrOwn((store) => store.read(ids))
  }

  async #fleetOrOwn<T>(use: (store: KeyStore) => Promise<T>): Promise<T> {
    try {
      return await use(this.#fleet)
    } catch (error) {
      if (error instanceof RedisUnavailable) return use(this.#own)
      throw error
    }
  }

  /** Another replica has benched a key, or seen it recover. */
  async #adopt(message: string): Promise<void> {
    const change = changeIn(message)
    if (change === undefined) return
    if (change.state === 'cooling') {
      const { id, reason = 'limited', remainingMs = 0 } = change
      await this.#own.bench({ id, reason, durationMs: remainingMs })
    } else if (change.state === 'active') {
      await this.#own.endTrial(change.id, 'recovered')
    }
  }

  async #republish(): Promise<void> {
    try {
      for (const { id, reason, remainingMs } of this.#own.running()) {
        await this.#fleet.bench({ id, reason, durationMs: remainingMs })
      }
    } catch {
      // Gone again; the next `up` tries again.
    }
  }
}

/** Undefined for what is no message of this version. */
function changeIn(message: string): KeyState | undefined {
  try {
    const change = JSON.parse(message) as KeyState | null
    return typeof change?.id === 'string' ? change : undefined
  } catch {
    return undefined
  }
}
