import { ReplyError } from 'ioredis'

/**
 * Why a command gave no answer. `down`: no connection, or the breaker is open. `timeout`: nothing came within the
 * deadline (the command may still run). `full`: noeviction and no memory left. `reply`: Redis refused the command.
 */
export type UnavailableReason = 'down' | 'timeout' | 'full' | 'reply'

/**
 * Redis gave no answer; go on without it. The only failure that leaves this package, so that each caller has
 * one thing to catch and one place that decides what "without it" means.
 */
export class RedisUnavailable extends Error {
  override readonly name = 'RedisUnavailable'
  readonly reason: UnavailableReason

  constructor(reason: UnavailableReason, cause?: unknown) {
    super(`Redis unavailable: ${reason}`, cause === undefined ? undefined : { cause })
    this.reason = reason
  }

  static from(thrown: unknown): RedisUnavailable {
    if (thrown instanceof RedisUnavailable) return thrown
    if (!isReplyError(thrown)) return new RedisUnavailable('down', thrown)
    if (thrown.message.startsWith('OOM')) return new RedisUnavailable('full', thrown)
    return new RedisUnavailable(isServerOutage(thrown) ? 'down' : 'reply', thrown)
  }
}

export function isReplyError(thrown: unknown): thrown is Error {
  // ioredis types ReplyError as `any`; the class is redis-parser's.
  return thrown instanceof (ReplyError as new () => Error)
}

/** Replies of a server that is there but cannot serve now: loading, failing over, stuck in a script, a stale replica. */
function isServerOutage(error: Error): boolean {
  return /^(LOADING|READONLY|BUSY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS)\b/.test(error.message)
}
