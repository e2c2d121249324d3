import type { Clock } from '@ipfleet/core/clock.ts'
import { LocalRateLimiter } from '@ipfleet/rate-limit/local-rate-limiter.ts'
import type { TokenBucket } from '@ipfleet/rate-limit/policy.ts'
import { charging, checking } from '@ipfleet/rate-limit/rate-limiter.ts'
import { remember } from './password-checks.ts'

/**
 * Beyond the failures after which an address is limited. Each answer to a limited address tells whether a password is
 * right, so that they must have an end.
 */
const guesses: TokenBucket = { kind: 'token-bucket', burst: 100, refillPerSecond: 10 / 60 }

/** Users who have been let in from an address, so that failures of others at that address do not shut them out. */
export class AcceptedUsers {
  /** Address and user, oldest first. */
  readonly #known = new Set<string>()
  readonly #guesses: LocalRateLimiter

  constructor(clock: Clock) {
    this.#guesses = new LocalRateLimiter({ clock })
  }

  add(subject: string, user: string): void {
    remember(this.#known, `${subject} ${user}`)
  }

  /** Whether a user is let in although the address is limited. If not, that was one guess more. */
  passes(subject: string, user: string, isRight: boolean): boolean {
    if (this.#guesses.spend(subject, guesses, checking).kind === 'limited') return false
    if (isRight && this.#known.has(`${subject} ${user}`)) return true
    this.#guesses.spend(subject, guesses, charging(1))
    return false
  }
}
