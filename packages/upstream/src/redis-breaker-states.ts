import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { Subscriber } from '@ipfleet/redis/subscriber.ts'
import type { SharedBreakerState, SharedBreakerStates } from './shared-breaker-state.ts'

type Listener = (openForMs: number | undefined) => void
type RedisClient = Parameters<Parameters<RedisLink['run']>[0]>[0]

/** For each breaker one key while it is open and one while a replica probes; one channel for all. */
export class RedisBreakerStates implements SharedBreakerStates {
  readonly #link: RedisLink
  readonly #channel: string
  readonly #listeners = new Map<string, Listener>()

  constructor(link: RedisLink, subscriber: Subscriber) {
    this.#link = link
    this.#channel = link.names.channel('breaker')
    void subscriber.subscribe(this.#channel, (message) => this.#hear(message))
    const catchUp = (): void => void this.#catchUp([...this.#listeners.keys()])
    link.on('up', catchUp)
    subscriber.onGap(catchUp)
  }

  of(name: string): SharedBreakerState {
    const openKey = this.#openKey(name)
    const probeKey = this.#link.names.key('breaker', name, 'probe')
    const message = (forMs: number | undefined): string => JSON.stringify({ name, forMs })
    return {
      open: async (forMs) => {
        // Redis keeps no key for less than 1 ms. The others are told what was asked: after a pause of 0 ms the next call,
        // also one that comes as soon as they hear of it, is the probe.
        const keptMs = Math.max(1, Math.ceil(forMs))
        await this.#tell((client) =>
          client.multi().set(openKey, '', 'PX', keptMs).del(probeKey).publish(this.#channel, message(forMs)).exec(),
        )
      },
      close: async () => {
        await this.#tell((client) =>
          client.multi().del(openKey, probeKey).publish(this.#channel, message(undefined)).exec(),
        )
      },
      // Without Redis each replica probes for itself.
      tryProbe: async (forMs) =>
        (await this.#run((client) => client.set(probeKey, '', 'PX', Math.ceil(forMs), 'NX'), 'OK')) === 'OK',
      endProbe: async () => {
        await this.#tell((client) => client.del(probeKey))
      },
      onChange: (listener) => {
        this.#listeners.set(name, listener)
        if (this.#link.up) void this.#catchUp([name])
      },
    }
  }

  #openKey(name: string): string {
    return this.#link.names.key('breaker', name, 'open')
  }

  #hear(message: string): void {
    try {
      const { name, forMs } = JSON.parse(message) as { name: string; forMs?: number }
      this.#listeners.get(name)?.(forMs)
    } catch {
      // Not of this version.
    }
  }

  async #catchUp(names: readonly string[]): Promise<void> {
    for (const name of names) {
      const leftMs = (await this.#run((client) => client.pttl(this.#openKey(name)))) ?? 0
      if (leftMs > 0) this.#listeners.get(name)?.(leftMs)
    }
  }

  /** What the fleet has to know, whether the request that has found it out may wait or not. */
  async #tell(command: (client: RedisClient) => Promise<unknown>): Promise<void> {
    await this.#link.run(command, { isVital: true }).catch(() => {})
  }

  /** @returns what Redis answers, or `otherwise` when it does not: the other replicas then find out for themselves */
  async #run<T>(command: (client: RedisClient) => Promise<T>, otherwise?: T): Promise<T | undefined> {
    try {
      return await this.#link.run(command)
    } catch {
      return otherwise
    }
  }
}
