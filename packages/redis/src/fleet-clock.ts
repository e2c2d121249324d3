import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import type { RedisLink } from './redis-link.ts'

const calibrateEveryMs = 30_000

/**
 * The time that all replicas agree on: Redis's, carried forward by the monotonic clock of this process, so that the
 * wall clocks of replicas may differ and jump. Before Redis has answered once it is this machine's wall clock at start.
 */
export class FleetClock implements Clock {
  readonly #monotonic: Clock
  #offsetMs: number
  #timer: NodeJS.Timeout | undefined

  constructor(monotonic: Clock = monotonicClock) {
    this.#monotonic = monotonic
    this.#offsetMs = Date.now() - monotonic.nowMs()
  }

  nowMs(): number {
    return this.#monotonic.nowMs()
  }

  /** Milliseconds since 1970 by Redis. For times that other replicas read. */
  epochMs(): number {
    return this.#monotonic.nowMs() + this.#offsetMs
  }

  /** Follows a server's clock from now on. */
  follow(link: RedisLink): void {
    link.on('up', () => void this.#calibrate(link))
    if (link.up) void this.#calibrate(link)
    this.#timer = setInterval(() => void this.#calibrate(link), calibrateEveryMs).unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  async #calibrate(link: RedisLink): Promise<void> {
    const sentMs = this.#monotonic.nowMs()
    try {
      const [seconds, micros] = await link.run((client) => client.time())
      const receivedMs = this.#monotonic.nowMs()
      this.#offsetMs = Number(seconds) * 1000 + Number(micros) / 1000 - (sentMs + receivedMs) / 2
    } catch {
      // The last offset stays good: both clocks advance alike.
    }
  }
}
