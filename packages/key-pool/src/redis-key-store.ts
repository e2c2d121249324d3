import type { FleetNames } from '@ipfleet/redis/fleet-names.ts'
import { luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import {
  type Bench,
  type BenchReason,
  type KeyState,
  type KeyStore,
  type Lesson,
  maxStrikes,
  type ProductState,
  type TakeOptions,
  type Taken,
} from './key-store.ts'
import type { KeyQuota, Quota, QuotaReport } from './quota.ts'

const takeKey = luaCommand(new URL('take-key.lua', import.meta.url))
const benchKey = luaCommand(new URL('bench-key.lua', import.meta.url))
const endTrialOfKey = luaCommand(new URL('end-trial.lua', import.meta.url))
const learnKey = luaCommand(new URL('learn-key.lua', import.meta.url))
const releaseKey = luaCommand(new URL('release-key.lua', import.meta.url))
const readKeys = luaCommand(new URL('read-keys.lua', import.meta.url))
const reportQuotaOfKey = luaCommand(new URL('report-quota.lua', import.meta.url))
const readQuotas = luaCommand(new URL('read-quotas.lua', import.meta.url))

/** Each change of a key, as JSON: `{id, product?, state, reason?, remainingMs?, status?}` or `{id, product?, quota}`. */
export const keysChannel = (names: FleetNames): string => names.channel('keys')

/** Key state of the fleet. Every method throws RedisUnavailable when Redis gives no answer. */
export class RedisKeyStore implements KeyStore {
  readonly #link: RedisLink
  readonly #trialMs: number
  readonly #benches: string
  readonly #turns: string
  readonly #quotas: string
  readonly #lessons: string
  readonly #channel: string

  constructor(link: RedisLink, { trialMs }: { trialMs: number }) {
    this.#link = link
    this.#trialMs = trialMs
    // Of the release before products, too: what a key is benched for as a whole is read and written as it was.
    this.#benches = link.names.key('keys', 'pool', 'benches')
    this.#turns = link.names.key('keys', 'pool', 'cursor')
    this.#quotas = link.names.key('keys', 'pool', 'quotas')
    this.#lessons = link.names.key('keys', 'pool', 'lessons')
    this.#channel = keysChannel(link.names)
  }

  async take(ids: readonly string[], options: TakeOptions = {}): Promise<Taken> {
    const { units = 1, reserveShare = 0, products = [], learns = false, prefersRich = false } = options
    const flags = `${learns && products.length > 0 ? 'l' : ''}${prefersRich ? 'r' : ''}`
    const args = [this.#trialMs, units, reserveShare, flags, products.length, ...products]
    const candidates = ids.flatMap((id) => candidate(id, options))
    const reply = await this.#link.lua(
      takeKey,
      [this.#benches, this.#turns, this.#quotas, this.#lessons],
      [...args, ...candidates],
    )
    return takenOf(reply as TakeReply)
  }

  async bench({
    id,
    product = '',
    peers = [],
    reason,
    durationMs,
    doublingUpToMs = 0,
    status,
  }: Bench): Promise<number> {
    const times = [Math.ceil(durationMs), Math.ceil(doublingUpToMs)]
    const args = [reason, ...times, maxStrikes, this.#channel, product, status ?? '', id, ...peers]
    return Number(await this.#link.lua(benchKey, [this.#benches, this.#lessons], args))
  }

  async endTrial(id: string, result: 'recovered' | 'unknown', products: readonly string[] = []): Promise<void> {
    await this.#link.lua(endTrialOfKey, [this.#benches, this.#lessons], [id, result, this.#channel, ...products])
  }

  async learn({ id, product, forMs, richness }: Lesson): Promise<void> {
    await this.#link.lua(learnKey, [this.#lessons], [id, product, Math.ceil(forMs), richness ?? ''])
  }

  async release(id: string): Promise<void> {
    await this.#link.lua(releaseKey, [this.#benches, this.#quotas], [id, this.#channel])
  }

  async read(ids: readonly string[]): Promise<KeyState[]> {
    const reply = (await this.#link.lua(readKeys, [this.#benches, this.#quotas], ids)) as ReadReply[]
    return reply.map(([benchMs, reason, emptyMs, ...resting], index): KeyState => {
      const id = ids[index] as string
      const products = productStates(resting)
      const more = products.length > 0 ? { products } : {}
      if (benchMs > 0) return { id, state: 'cooling', reason, remainingMs: benchMs, ...more }
      if (emptyMs > 0) return { id, state: 'cooling', reason: 'exhausted', remainingMs: emptyMs, ...more }
      return benchMs < 0 ? { id, state: 'active', ...more } : { id, state: 'trial', reason, ...more }
    })
  }

  async reportQuota(report: QuotaReport): Promise<void> {
    const { id, product = '', source, remaining, limit, used, resetMs, takenBefore } = report
    const total = used === undefined ? limit : used + remaining
    const numbers = [remaining, limit, total, Math.ceil(resetMs), takenBefore].map((number) => number ?? '')
    await this.#link.lua(
      reportQuotaOfKey,
      [this.#quotas, this.#turns],
      [id, source, ...numbers, this.#channel, product],
    )
  }

  async quotas(ids: readonly string[]): Promise<KeyQuota[]> {
    const reply = (await this.#link.lua(readQuotas, [this.#quotas, this.#turns], ids)) as string[][]
    return reply.map(([taken, over, ...fields], index): KeyQuota => {
      const account = quotaOf(fields.slice(0, 4))
      const replied = quotaOf(fields.slice(4))
      const id = ids[index] as string
      const overage = Number(over) > 0 ? { overage: Number(over) } : {}
      return { id, taken: Number(taken), ...overage, ...(account && { account }), ...(replied && { reply: replied }) }
    })
  }
}

type TakeReply =
  | readonly [id: string, flags: string, richness: string, richest: number]
  | readonly [id: null, ...numbers: number[]]
type ReadReply = readonly [benchMs: number, reason: BenchReason, emptyMs: number, ...resting: (string | number)[]]

function candidate(id: string, { weights, declared, payers, maxPerDay }: TakeOptions): (string | number)[] {
  const flags = `${declared?.has(id) ? 'd' : ''}${payers?.has(id) ? 'p' : ''}`
  return [id, weights?.get(id) ?? 1, flags, maxPerDay?.get(id) ?? 0]
}

function takenOf(reply: TakeReply): Taken {
  if (reply[0] === null) {
    const [, retryAfterMs = 0, trying, status = 0] = reply
    const denied = status > 0 ? { deniedStatus: status } : {}
    return { kind: 'none', retryAfterMs, trialUnderWay: trying === 1, ...denied }
  }
  const [id, flags, richness, richest] = reply
  return {
    kind: 'key',
    id,
    trial: flags.includes('t'),
    ...(flags.includes('l') && { learning: true as const }),
    ...(richness !== '' && { richness: Number(richness) }),
    ...(richest > 0 && { richest }),
    ...(flags.includes('m') && { mixed: true as const }),
    ...(flags.includes('o') && { overage: true as const }),
  }
}

/** Three values for each. */
function productStates(resting: readonly (string | number)[]): ProductState[] {
  const states = Array.from({ length: resting.length / 3 }, (_, at): ProductState => {
    const [product, reason, remainingMs] = resting.slice(at * 3, at * 3 + 3)
    return { product: String(product), reason: reason as BenchReason, remainingMs: Number(remainingMs) }
  })
  return states.toSorted((a, b) => (a.product < b.product ? -1 : 1))
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
