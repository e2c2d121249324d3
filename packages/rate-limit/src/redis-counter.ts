import { type LuaCommand, luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import { limitOf, type Policy } from './policy.ts'
import type { Decision, Spending } from './rate-limiter.ts'
import type { IdempotencyKey, SharedCounter, Unanswered } from './shared-counter.ts'

const taking = new URL('taking.lua', import.meta.url)
const takeFromWindow = luaCommand(taking, new URL('take-from-window.lua', import.meta.url))
const takeFromBucket = luaCommand(taking, new URL('take-from-bucket.lua', import.meta.url))

/** Longer than an outage of Redis is likely to last. What is repeated later than that may count twice. */
const keyLifeMs = 3_600_000

/** Counts for the fleet, each call in one Lua command: `<prefix>:limit:{<scope>:<subject>}`. */
export class RedisCounter implements SharedCounter {
  readonly #link: RedisLink
  readonly #scope: string

  /** `scope`: what is limited, to keep one service's subjects apart from another's. */
  constructor(link: RedisLink, scope: string) {
    this.#link = link
    this.#scope = scope
  }

  get up(): boolean {
    return this.#link.up
  }

  onUp(listener: () => void): () => void {
    this.#link.on('up', listener)
    return () => void this.#link.off('up', listener)
  }

  async spend(
    subject: string,
    policy: Policy,
    { cost, need }: Spending,
    idempotencyKey?: IdempotencyKey,
  ): Promise<Decision | Unanswered> {
    const [command, ...numbers] = commandOf(policy)
    const counts = this.#link.names.key('limit', `${this.#scope}:${subject}`)
    const keys = [counts]
    const args = [...numbers, cost, need === 'anyway' ? -1 : need]
    if (idempotencyKey) {
      keys.push(`${counts}:from:${idempotencyKey.sender}`)
      args.push(idempotencyKey.sequence, keyLifeMs)
    }
    try {
      // A report is not what the request waits for.
      const options = { isVital: idempotencyKey !== undefined }
      const reply = (await this.#link.lua(command, keys, args, options)) as [number, number, number, number]
      const [allowed, remaining, resetMs, retryAfterMs] = reply
      const standing = { limit: limitOf(policy), remaining, resetMs }
      return allowed === 1 ? { kind: 'allowed', ...standing } : { kind: 'limited', ...standing, retryAfterMs }
    } catch (error) {
      if (!(error instanceof RedisUnavailable)) throw error
      return { kind: 'unanswered', mayBeCounted: error.reason === 'timeout' }
    }
  }
}

function commandOf(policy: Policy): readonly [LuaCommand, number, number] {
  return policy.kind === 'sliding-window'
    ? [takeFromWindow, policy.limit, policy.windowMs]
    : [takeFromBucket, policy.burst, policy.refillPerSecond]
}
