import { Counts } from '@ipfleet/core/counts.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { wholeSeconds } from '@ipfleet/core/whole-seconds.ts'
import { LocalRateLimiter } from '@ipfleet/rate-limit/local-rate-limiter.ts'
import type { TokenBucket } from '@ipfleet/rate-limit/policy.ts'
import type { RateLimiter } from '@ipfleet/rate-limit/rate-limiter.ts'
import { RedisCounter } from '@ipfleet/rate-limit/redis-counter.ts'
import { SharedRateLimiter } from '@ipfleet/rate-limit/shared-rate-limiter.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'

const perAddress: TokenBucket = { kind: 'token-bucket', burst: 10, refillPerSecond: 1 / 10 }
const inAll: TokenBucket = { kind: 'token-bucket', burst: 50, refillPerSecond: 1 }
/** Logins that wait for their turn: a browser sends one at a time. */
const maxWaiting = 50
const maxWaitingPerAddress = 5

/** How often a token may be tried in vain, by one address and by all, counted for the fleet. */
export class LoginLimits {
  readonly #limiter: RateLimiter
  readonly #waiting = new Counts()
  #waitingInAll = 0
  #last: Promise<unknown> = Promise.resolve()

  constructor(link: RedisLink | undefined) {
    this.#limiter = link
      ? new SharedRateLimiter(new RedisCounter(link, 'console-logins'), { members: () => 1 })
      : new LocalRateLimiter()
  }

  /**
   * Tries a token. One try at a time, so that many at once are not judged by what was counted before all of them.
   * @returns whether it was right
   * @throws ProxyError `rate_limited`; `client_share`, `overloaded` when too many wait
   */
  async try(subject: string, attempt: () => Promise<boolean>): Promise<boolean> {
    if (this.#waiting.of(subject) >= maxWaitingPerAddress) {
      throw new ProxyError('client_share', { retryAfterSeconds: 5 })
    }
    if (this.#waitingInAll >= maxWaiting) throw new ProxyError('overloaded', { retryAfterSeconds: 5 })
    this.#count(subject, 1)
    const turn = this.#last.then(() => this.#judge(subject, attempt)).finally(() => this.#count(subject, -1))
    this.#last = turn.catch(() => {})
    return turn
  }

  #count(subject: string, change: 1 | -1): void {
    this.#waiting.add(subject, change)
    this.#waitingInAll += change
  }

  async #judge(subject: string, attempt: () => Promise<boolean>): Promise<boolean> {
    const counts = [
      [`from:${subject}`, perAddress],
      ['all', inAll],
    ] as const
    for (const [name, policy] of counts) {
      const decision = await this.#limiter.check(name, policy)
      if (decision.kind === 'allowed') continue
      throw new ProxyError('rate_limited', {
        message: 'Too many logins have failed; try again after the time in Retry-After',
        retryAfterSeconds: wholeSeconds(decision.retryAfterMs),
      })
    }
    const isRight = await attempt()
    if (!isRight) await Promise.all(counts.map(([name, policy]) => this.#limiter.charge(name, policy, 1)))
    return isRight
  }
}
