import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { Subscriber } from '@ipfleet/redis/subscriber.ts'
import type { BreakerBoard } from './breaker-board.ts'

const openKey = 'ipfleet:breaker:{upstream}:open'
const probeKey = 'ipfleet:breaker:{upstream}:probe'
const channel = 'ipfleet:breaker'

/** The fleet's breaker: one key while it is open, one while someone probes. */
export class RedisBreakerBoard implements BreakerBoard {
  readonly #link: RedisLink
  readonly #subscriber: Subscriber

  constructor(link: RedisLink, subscriber: Subscriber) {
    this.#link = link
    this.#subscriber = subscriber
  }

  open(forMs: number): Promise<void> {
    const ms = Math.ceil(forMs)
    return this.#tell((client) =>
      client.multi().set(openKey, '', 'PX', ms).del(probeKey).publish(channel, String(ms)).exec(),
    )
  }

  close(): Promise<void> {
    return this.#tell((client) => client.multi().del(openKey, probeKey).publish(channel, '').exec())
  }

  async tryProbe(forMs: number): Promise<boolean> {
    try {
      return (await this.#link.run((client) => client.set(probeKey, '', 'PX', Math.ceil(forMs), 'NX'))) === 'OK'
    } catch {
      // Without Redis each replica finds out for itself.
      return true
    }
  }

  endProbe(): Promise<void> {
    return this.#tell((client) => client.del(probeKey))
  }

  onChange(listener: (openForMs: number | undefined) => void): void {
    void this.#subscriber.subscribe(channel, (message) => listener(message === '' ? undefined : Number(message)))
    const catchUp = async (): Promise<void> => {
      try {
        const leftMs = await this.#link.run((client) => client.pttl(openKey))
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
