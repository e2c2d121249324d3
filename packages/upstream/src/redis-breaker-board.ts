import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { Subscriber } from '@ipfleet/redis/subscriber.ts'
import type { BreakerBoard } from './breaker-board.ts'

/** The fleet's breaker: one key while it is open, one while someone probes. */
export class RedisBreakerBoard implements BreakerBoard {
  readonly #link: RedisLink
  readonly #subscriber: Subscriber
  readonly #openKey: string
  readonly #probeKey: string
  readonly #channel: string

  constructor(link: RedisLink, subscriber: Subscriber) {
    this.#link = link
    this.#subscriber = subscriber
    this.#openKey = link.names.key('breaker', 'upstream', 'open')
    this.#probeKey = link.names.key('breaker', 'upstream', 'probe')
    this.#channel = link.names.channel('breaker')
  }

  open(forMs: number): Promise<void> {
    const ms = Math.ceil(forMs)
    return this.#tell((client) =>
      client.multi().set(this.#openKey, '', 'PX', ms).del(this.#probeKey).publish(this.#channel, String(ms)).exec(),
    )
  }

  close(): Promise<void> {
    return this.#tell((client) => client.multi().del(this.#openKey, this.#probeKey).publish(this.#channel, '').exec())
  }

  async tryProbe(forMs: number): Promise<boolean> {
    try {
      return (await this.#link.run((client) => client.set(this.#probeKey, '', 'PX', Math.ceil(forMs), 'NX'))) === 'OK'
    } catch {
      // Without Redis each replica finds out for itself.
      return true
    }
  }

  endProbe(): Promise<void> {
    return this.#tell((client) => client.del(this.#probeKey))
  }

  onChange(listener: (openForMs: number | undefined) => void): void {
    void this.#subscriber.subscribe(this.#channel, (message) => listener(message === '' ? undefined : Number(message)))
    const catchUp = async (): Promise<void> => {
      try {
        const leftMs = await this.#link.run((client) => client.pttl(this.#openKey))
        if (leftMs > 0) listener(leftMs)
      } catch {
        // The next `up` asks again.
      }
    }
    this.#link.on('up', () => void catchUp())
  }

  async #tell(command: Parameters<RedisLink['run']>[0]): Promise<void> {
    try {
      await this.#link.run(command)
    } catch {
      // The others find out for themselves.
    }
  }
}
