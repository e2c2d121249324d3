import { types } from 'node:util'
import { ReplyError } from 'ioredis'
import { problemOf, type RedisProblem } from './redis-problem.ts'

/**
 * Why a command gave no answer. `down`: no connection, or the breaker is open. `timeout`: nothing came within the
 * deadline (the command may still run). `spent`: it was not sent, since the request has waited as long as it may.
 * `moving`: the slot of its keys is half moved. `full`: noeviction and no memory left. `refused`: the server takes no such command now, or of this user. `reply`: the
 * command itself was wrong.
 */
export type UnavailableReason = 'down' | 'timeout' | 'spent' | 'moving' | 'full' | 'refused' | 'reply'

/**
 * Redis gave no answer; go on without it. The only failure that leaves this package, so that each caller has
 * one thing to catch and one place that decides what "without it" means.
 */
export class RedisUnavailable extends Error {
  override readonly name = 'RedisUnavailable'
  readonly reason: UnavailableReason
  /** What is wrong with the server, as far as it is known. */
  readonly problem: RedisProblem | undefined

  constructor(reason: UnavailableReason, cause?: unknown, problem?: RedisProblem) {
    super(`Redis unavailable: ${reason}`, cause === undefined ? undefined : { cause })
    this.reason = reason
    this.problem = problem
  }

  static from(thrown: unknown): RedisUnavailable {
    if (thrown instanceof RedisUnavailable) return thrown
    if (!isReplyError(thrown)) return new RedisUnavailable('down', thrown)
    return new RedisUnavailable(reasonOf(thrown), thrown)
  }
}

/** Whether all that is wrong is that the keys of the command are on two nodes for a while: those of one key are not. */
export function isMoving(thrown: unknown): boolean {
  return thrown instanceof RedisUnavailable && thrown.reason === 'moving'
}

/** What to do instead, in that case only. */
export function ifMoving<T>(otherwise: () => Promise<T>): (error: unknown) => Promise<T> {
  return (error) => {
    if (isMoving(error)) return otherwise()
    throw error
  }
}

export function isReplyError(thrown: unknown): thrown is Error {
  // ioredis types ReplyError as `any`; the class is redis-parser's.
  return thrown instanceof (ReplyError as new () => Error)
}

/** Of a server that is there: whether it cannot serve now (loading, failing over, stuck in a script), or not this. */
function reasonOf(reply: Error): UnavailableReason {
  const first = firstOf(reply)
  if (first.message.startsWith('TRYAGAIN')) return 'moving'
  const problem = problemOf(first)
  if (problem === undefined) return 'reply'
  if (problem.code === 'OOM') return 'full'
  return problem.kind === 'away' ? 'down' : 'refused'
}

/** Of a transaction (EXECABORT), what went wrong first. */
export function firstOf(reply: Error): Error {
  const [first] = 'previousErrors' in reply && Array.isArray(reply.previousErrors) ? reply.previousErrors : []
  return types.isNativeError(first) ? first : reply
}
