import type { IncomingMessage } from 'node:http'
import { addressBlocks } from '@ipfleet/net/address-blocks.ts'
import { exposedFields, policyMember, standingMember } from '@ipfleet/rate-limit/rate-limit-fields.ts'
import type { Decision, PromptRateLimiter } from '@ipfleet/rate-limit/rate-limiter.ts'
import type { RawFields } from '@ipfleet/proxy/http1/exchange-types.ts'
import type { RateLimitConfig } from '../config/edge-config.ts'
import { subjectOf } from './client-subject.ts'
import { wholeSeconds } from '@ipfleet/core/whole-seconds.ts'

/** What was decided about a request, and the fields that tell its client. */
export interface Verdict {
  readonly kind: 'allowed' | 'limited'
  readonly fields: RawFields
  /** Whole seconds, at least 1; for Retry-After when it is limited. */
  readonly retryAfterSeconds: number
}

/** How often `[rate_limit]` has said what. `local`: from memory, without asking anybody. */
export interface LimiterCounts {
  allowed: number
  limited: number
  exempt: number
}

/** `[rate_limit]`: how much each client may ask. */
export class ClientLimiter {
  readonly counts: LimiterCounts
  readonly #config: RateLimitConfig
  readonly #limiter: PromptRateLimiter
  readonly #isExempt: (address: string) => boolean
  readonly #policyField: string
  readonly #known: ReadonlySet<string>
  /** What was counted by another policy, before a reload or by another edge, is another count. */
  readonly #prefix: string

  constructor(config: RateLimitConfig, limiter: PromptRateLimiter, counts: LimiterCounts) {
    this.#config = config
    this.#limiter = limiter
    this.#isExempt = addressBlocks(config.exempt)
    this.#known = new Set(config.known)
    this.#prefix = `${Object.values(config.policy).join('-')}:`
    this.#policyField = policyMember('client', config.policy)
    this.counts = counts
  }

  /** Counts a request. Not a promise where memory can tell; undefined for those who are not limited. */
  judge(req: IncomingMessage, address: string): Verdict | Promise<Verdict> | undefined {
    if (this.#config.limitMethods?.includes(req.method ?? '') === false) return undefined
    if (this.#config.exempt.length > 0 && this.#isExempt(address)) {
      this.counts.exempt += 1
      return undefined
    }
    const { policy, keyExtractor } = this.#config
    const subject = this.#prefix + subjectOf({ extractor: keyExtractor, known: this.#known }, req, address)
    const known = this.#limiter.takeNow(subject, policy)
    if (known) return this.#verdict(known)
    return this.#limiter.take(subject, policy).then((decision) => this.#verdict(decision))
  }

  close(): Promise<void> {
    return this.#limiter.close()
  }

  #verdict(decision: Decision): Verdict {
    const { kind, limit, remaining, resetMs } = decision
    this.counts[kind] += 1
    const resetSeconds = String(Math.ceil(resetMs / 1000))
    return {
      kind,
      fields: [
        'X-Rate-Limit-Limit',
        String(limit),
        'X-Rate-Limit-Remaining',
        String(remaining),
        'X-Rate-Limit-Reset',
        resetSeconds,
        'RateLimit-Policy',
        this.#policyField,
        'RateLimit',
        standingMember('client', decision),
        'Access-Control-Expose-Headers',
        exposedFields,
      ],
      retryAfterSeconds: decision.kind === 'limited' ? wholeSeconds(decision.retryAfterMs) : 1,
    }
  }
}
