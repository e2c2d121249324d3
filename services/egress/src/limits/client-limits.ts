import type { RawFields } from '@ipfleet/proxy/http1/exchange-types.ts'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import type { TokenBucket } from '@ipfleet/rate-limit/policy.ts'
import { policyMember, standingMember } from '@ipfleet/rate-limit/rate-limit-fields.ts'
import type { Decision, PromptRateLimiter } from '@ipfleet/rate-limit/rate-limiter.ts'
import type { Identity } from '../proxy/request-context.ts'
import { wholeSeconds } from '@ipfleet/core/whole-seconds.ts'

/** For the answer to a request over the limit. */
export interface OverLimit {
  readonly fields: RawFields
  readonly retryAfterSeconds: number
}

export type LimitVerdict = 'allowed' | 'limited'

/** Limits the requests of each client or user with a token bucket that all replicas count together. */
export class ClientLimits {
  readonly counts: Record<LimitVerdict, number> = { allowed: 0, limited: 0 }
  readonly #limiter: PromptRateLimiter
  readonly #defaultPolicy: TokenBucket | undefined

  /** Without `defaultPolicy`, only users with a limit of their own are limited. */
  constructor(limiter: PromptRateLimiter, defaultPolicy: TokenBucket | undefined) {
    this.#limiter = limiter
    this.#defaultPolicy = defaultPolicy
  }

  /** Takes one token. Undefined if there was one. A promise only if Redis must be asked. */
  take(client: string, { user, limit }: Identity): OverLimit | undefined | Promise<OverLimit | undefined> {
    const policy: TokenBucket | undefined = limit ? { kind: 'token-bucket', ...limit } : this.#defaultPolicy
    if (policy === undefined) return undefined
    const who = user === undefined ? addressSubject(client) : `user:${user}`
    // A count by another policy, before a reload, is not continued.
    const subject = `${policy.burst}-${policy.refillPerSecond}:${who}`
    const known = this.#limiter.takeNow(subject, policy)
    if (known) return this.#over(policy, known)
    return this.#limiter.take(subject, policy).then((decision) => this.#over(policy, decision))
  }

  close(): Promise<void> {
    return this.#limiter.close()
  }

  #over(policy: TokenBucket, decision: Decision): OverLimit | undefined {
    this.counts[decision.kind] += 1
    if (decision.kind === 'allowed') return undefined
    return {
      fields: ['RateLimit-Policy', policyMember('client', policy), 'RateLimit', standingMember('client', decision)],
      retryAfterSeconds: wholeSeconds(decision.retryAfterMs),
    }
  }
}
