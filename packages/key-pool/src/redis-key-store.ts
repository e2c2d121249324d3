import { luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { FleetNames } from '@ipfleet/redis/fleet-names.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import {
  type Bench,
  type BenchReason,
  type KeyState,
  type KeyStore,
  maxStrikes,
  type TakeOptions,
  type Taken,
} from './key-store.ts'
import type { KeyQuota, Quota, QuotaReport } from './quota.ts'

const takeKey = luaCommand(new URL('take-key.lua', import.meta.url))
const benchKey = luaCommand(new URL('bench-key.lua', import.meta.url))
const endTrialOfKey = luaCommand(new URL('end-trial.lua', import.meta.url))
const releaseKey = luaCommand(new URL('release-key.lua', import.meta.url))
const readKeys = luaCommand(new URL('read-keys.lua', import.meta.url))
const reportQuotaOfKey = luaCommand(new URL('report-quota.lua', import.meta.url))
const readQuotas = luaCommand(new URL('read-quotas.lua', import.meta.url))

/** Each change of a key, as JSON: `{id, state, reason?, remainingMs?}` or `{id, quota}`. */
export const keysChannel = (names: FleetNames): string => names.channel('keys')

/** Key state of the fleet. Every method throws RedisUnavailable when Redis gives no answer. */
export class RedisKeyStore implements KeyStore {
  readonly #link: RedisLink
  readonly #trialMs: number
  readonly #benches: string
  readonly #turns: string
  readonly #quotas: string
  readonly #channel: string

  constructor(link: RedisLink, { trialMs }: { trialMs: number }) {
    this.#link = link
    this.#trialMs = trialMs
    this.#benches = link.names.key('keys', 'pool', 'benches')
    this.#turns = link.names.key('keys', 'pool', 'cursor')
    this.#quotas = link.names.key('keys', 'pool', 'quotas')
    this.#channel = keysChannel(link.names)
  }

  async take(ids: readonly string[], { units = 1, reserveShare = 0, weights }: TakeOptions = {}): Promise<Taken> {
    const candidates = ids.flatMap((id) => [id, weights?.get(id) ?? 1])
    const args = [this.#trialMs, units, reserveShare, ...candidates]
    const reply = await this.#link.lua(takeKey, [this.#benches, this.#turns, this.#quotas], args)
    const [id, second, third] = reply as [string | null, number, number]
    if (id === null) return { kind: 'none', retryAfterMs: second, trialUnderWay: third === 1 }
    return { kind: 'key', id, trial: second === 1 }
  }

  async bench({ id, peers = [], reason, durationMs, doublingUpToMs = 0 }: Bench): Promise<number> {
    const times = [Math.ceil(durationMs), Math.ceil(doublingUpToMs)]
    const args = [reason, ...times, maxStrikes, this.#channel, id, ...peers]
    return Number(await this.#link.lua(benchKey, [this.#benches], args))
  }

  async endTrial(id: string, result: 'recovered' | 'unknown'): Promise<void> {
    await this.#link.lua(endTrialOfKey, [this.#benches], [id, result, this.#channel])
  }

  async release(id: string): Promise<void> {
    await this.#link.lua(releaseKey, [this.#benches, this.#quotas], [id, this.#channel])
  }

  async read(ids: readonly string[]): Promise<KeyState[]> {
    const reply = (await this.#link.lua(readKeys, [this.#benches, this.#quotas], ids)) as [
      number,
      BenchReason,
      number,
    ][]
    return reply.map(([benchMs, reason, emptyMs], index): KeyState => {
      const id = ids[index] as string
      if (benchMs > 0) return { id, state: 'cooling', reason, remainingMs: benchMs }
      if (emptyMs > 0) return { id, state: 'cooling', reason: 'exhausted', remainingMs: emptyMs }
      return benchMs < 0 ? { id, state: 'active' } : { id, state: 'trial', reason }
    })
  }

  async reportQuota({ id, source, remaining, limit, used, resetMs, takenBefore }: QuotaReport): Promise<void> {
    const total = used === undefined ? limit : used + remaining
    const numbers = [remaining, limit, total, Math.ceil(resetMs), takenBefore].map((number) => number ?? '')
    await this.#link.lua(reportQuotaOfKey, [this.#quotas, this.#turns], [id, source, ...numbers, this.#channel])
  }

  async quotas(ids: readonly string[]): Promise<KeyQuota[]> {
    const reply = (await this.#link.lua(readQuotas, [this.#quotas, this.#turns], ids)) as string[][]
    return reply.map(([taken, ...fields], index): KeyQuota => {
      const account = quotaOf(fields.slice(0, 4))
      const replied = quotaOf(fields.slice(4))
      const id = ids[index] as string
      return { id, taken: Number(taken), ...(account && { account }), ...(replied && { reply: replied }) }
    })
  }
}

function quotaOf([left = '', limit = '', total = '', reset = '']: readonly string[]): Quota | undefined {
  if (left === '') return undefined
  const remaining = Number(left)
  return {
    remaining,
    ...(limit !== '' && { limit: Number(limit) }),
    ...(total !== '' && { used: Math.max(0, Number(total) - remaining) }),
    resetMs: Number(reset),
  }
}
