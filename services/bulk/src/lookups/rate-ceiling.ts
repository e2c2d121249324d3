import { setTimeout as sleep } from 'node:timers/promises'
import type { TokenBucket } from '@ipfleet/rate-limit/policy.ts'
import type { RateLimiter } from '@ipfleet/rate-limit/rate-limiter.ts'

/** Addresses a second that are asked for at most, over all workers. */
export class RateCeiling {
  readonly #limiter: RateLimiter
  readonly #bucket: TokenBucket | undefined

  /** @param perSecond 0: no ceiling */
  constructor(limiter: RateLimiter, perSecond: number) {
    this.#limiter = limiter
    this.#bucket = perSecond === 0 ? undefined : { kind: 'token-bucket', burst: perSecond, refillPerSecond: perSecond }
  }

  /** Most addresses that may be taken at once. */
  get most(): number {
    return this.#bucket?.burst ?? Infinity
  }

  /** Waits until that many may be asked for. @throws the signal's reason */
  async take(addresses: number, signal: AbortSignal): Promise<void> {
    if (this.#bucket === undefined) return
    for (;;) {
      const decision = await this.#limiter.take('all', this.#bucket, addresses)
      if (decision.kind === 'allowed') return
      await sleep(Math.max(1, decision.retryAfterMs), undefined, { signal })
    }
  }
}
