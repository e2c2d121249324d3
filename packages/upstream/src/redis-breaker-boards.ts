import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { Subscriber } from '@ipfleet/redis/subscriber.ts'
import type { BreakerBoard, BreakerBoards } from './breaker-board.ts'

type Listener = (openForMs: number | undefined) => void

/** The boards of the fleet's breakers: for each one key while it is open, one while someone probes; one channel for all. */
export class RedisBreakerBoards implements BreakerBoards {
  readonly #link: RedisLink
  readonly #channel: string
  readonly #listeners = new Map<string, Listener>()

  constructor(link: RedisLink, subscriber: Subscriber) {
    this.#link = link
    this.#channel = link.names.channel('breaker')
    void subscriber.subscribe(this.#channel, (message) => this.#hear(message))
    link.on('up', () => void this.#catchUp([...this.#listeners.keys()]))
  }

  of(name: string): BreakerBoard {
    const openKey = this.#openKey(name)
    const probeKey = this.#link.names.key('breaker', name, 'probe')
    const message = (forMs: number | undefined): string => JSON.stringify({ name, forMs })
    return {
      open: (forMs) => {
        const ms = Math.max(1, Math.ceil(forMs))
        return this.#tell((client) =>
          client.multi().set(openKey, '', 'PX', ms).del(probeKey).publish(this.#channel, message(ms)).exec(),
        )
      },
      close: () =>
        this.#tell((client) => client.multi().del(openKey, probeKey).publish(this.#channel, message(undefined)).exec()),
      tryProbe: async (forMs) => {
        try {
          return (await this.#link.run((client) => client.set(probeKey, '', 'PX', Math.ceil(forMs), 'NX'))) === 'OK'
        } catch {
          // Without Redis each replica finds out for itself.
          return true
        }
      },
      endProbe: () => this.#tell((client) => client.del(probeKey)),
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
      try {
        const leftMs = await this.#link.run((client) => client.pttl(this.#openKey(name)))
        if (leftMs > 0) this.#listeners.get(name)?.(leftMs)
      } catch {
        // The next `up` asks again.
      }
    }
  }

  async #tell(command: Parameters<RedisLink['run']>[0]): Promise<void> {
    try {
      await this.#link.run(command)
    } catch {
      // The others find out for themselves.
    }
  }
}
