import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'

/** Work that one replica does for all. The first to claim it does it; no other may until the claim is over. */
export interface QuotaClaims {
  claim(work: string, forMs: number): Promise<boolean>
}

/** Claims of one process, for a replica on its own. */
export class LocalQuotaClaims implements QuotaClaims {
  readonly #clock: Clock
  readonly #untilMs = new Map<string, number>()

  constructor(clock: Clock = monotonicClock) {
    this.#clock = clock
  }

  async claim(work: string, forMs: number): Promise<boolean> {
    const nowMs = this.#clock.nowMs()
    if ((this.#untilMs.get(work) ?? -Infinity) > nowMs) return false
    this.#untilMs.set(work, nowMs + forMs)
    return true
  }
}

/** Claims of the fleet. While Redis is away every replica claims for itself. */
export class FleetQuotaClaims implements QuotaClaims {
  readonly #link: RedisLink
  readonly #own = new LocalQuotaClaims()

  constructor(link: RedisLink) {
    this.#link = link
  }

  async claim(work: string, forMs: number): Promise<boolean> {
    // Also here first, so that a claim made while Redis was away counts when it is back.
    if (!(await this.#own.claim(work, forMs))) return false
    const key = this.#link.names.key('quota', work)
    try {
      return (await this.#link.run((client) => client.set(key, '1', 'PX', Math.ceil(forMs), 'NX'))) === 'OK'
    } catch {
      return true
    }
  }
}
