import { type LuaCommand, luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { Receipt } from './ledger.ts'
import { limitOf, type Policy } from './policy.ts'
import { charging, checking, type Decision, type RateLimiter, type Spending, taking } from './rate-limiter.ts'

const takeFromWindow = luaCommand(new URL('take-from-window.lua', import.meta.url))
const takeFromBucket = luaCommand(new URL('take-from-bucket.lua', import.meta.url))

/** Longer than an outage of Redis is likely to last. What is repeated later than that may count twice. */
const receiptLifeMs = 3_600_000

/**
 * Counts for the fleet: `<prefix>:limit:{<scope>:<subject>}`. Each call is one Lua command. Every method throws
 * RedisUnavailable when Redis gives no answer; a `take` that timed out may have been counted, which errs on the
 * side of the limit.
 */
export class RedisRateLimiter implements RateLimiter {
  readonly #link: RedisLink
  readonly #scope: string

  /** `scope`: what is limited, to keep one service's subjects apart from another's. */
  constructor(link: RedisLink, { scope }: { scope: string }) {
    this.#link = link
    this.#scope = scope
  }

  take(subject: string, policy: Policy, cost = 1): Promise<Decision> {
    return this.spend(subject, policy, taking(cost))
  }

  check(subject: string, policy: Policy): Promise<Decision> {
    return this.spend(subject, policy, checking)
  }

  charge(subject: string, policy: Policy, cost: number, receipt?: Receipt): Promise<Decision> {
    return this.spend(subject, policy, charging(cost), receipt)
  }

  async spend(subject: string, policy: Policy, { cost, need }: Spending, receipt?: Receipt): Promise<Decision> {
    const [command, ...numbers] = commandOf(policy)
    const key = this.#link.names.key('limit', `${this.#scope}:${subject}`)
    const keys = receipt ? [key, `${key}:from:${receipt.sender}`] : [key]
    const args = [...numbers, cost, need === 'anyway' ? -1 : need]
    const withReceipt = receipt ? [...args, receipt.sequence, receiptLifeMs] : args
    const reply = (await this.#link.lua(command, keys, withReceipt)) as [number, number, number, number]
    const [allowed, remaining, resetMs, retryAfterMs] = reply
    const standing = { limit: limitOf(policy), remaining, resetMs }
    return allowed === 1 ? { kind: 'allowed', ...standing } : { kind: 'limited', ...standing, retryAfterMs }
  }
}

function commandOf(policy: Policy): readonly [LuaCommand, number, number] {
  return policy.kind === 'sliding-window'
    ? [takeFromWindow, policy.limit, policy.windowMs]
    : [takeFromBucket, policy.burst, policy.refillPerSecond]
}
