import type { FleetNames } from '@ipfleet/redis/fleet-names.ts'
import { luaCommand, type LuaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink, RunOptions } from '@ipfleet/redis/redis-link.ts'
import { type Bench, type KeyLimits, type KeyState, type KeyStore, type Lesson, maxStrikes } from './key-store.ts'
import type { KeyReturn, Taken, TakeOptions } from './key-store.ts'
import type { KeyQuota, QuotaReport } from './quota.ts'

const command = (name: string): LuaCommand =>
  luaCommand(new URL('key-state.lua', import.meta.url), new URL(`${name}.lua`, import.meta.url))
const takeKey = command('take-key')
const giveBack = command('give-back')
const benchKey = command('bench-key')
const endTrial = command('end-trial')
const learnKey = command('learn-key')
const releaseKey = command('release-key')
const readKeys = command('read-keys')
const reportQuota = command('report-quota')

/** Each change of a key, as JSON: `{id, product?, state, reason?, remainingMs?, status?}` or `{id, product?, quota}`. */
export const keysChannel = (names: FleetNames): string => names.channel('keys')

/** Key state of the fleet. Every method throws RedisUnavailable when Redis gives no answer. */
export class RedisKeyStore implements KeyStore {
  readonly #link: RedisLink
  readonly #trialMs: number
  readonly #keys: readonly string[]
  readonly #channel: string

  constructor(link: RedisLink, { trialMs }: { trialMs: number }) {
    this.#link = link
    this.#trialMs = trialMs
    this.#keys = ['benches', 'cursor', 'quotas', 'lessons'].map((name) => link.names.key('keys', 'pool', name))
    this.#channel = keysChannel(link.names)
  }

  take(ids: readonly string[], options?: TakeOptions): Promise<Taken> {
    return this.#ask(takeKey, { ...takeArguments(ids, options), trialMs: this.#trialMs })
  }

  giveBack(id: string, units: number, products: readonly string[] = []): Promise<void> {
    return this.#tell(giveBack, { id, units, products })
  }

  returnOf(ids: readonly string[], options?: TakeOptions): Promise<KeyReturn> {
    return this.#ask(takeKey, { ...takeArguments(ids, options), onlyAsks: true })
  }

  bench(bench: Bench): Promise<number> {
    return this.#tell(benchKey, { ...bench, maxStrikes })
  }

  endTrial(id: string, result: 'recovered' | 'unknown', products: readonly string[] = []): Promise<void> {
    return this.#tell(endTrial, { id, products, hasRecovered: result === 'recovered' })
  }

  learn(lesson: Lesson): Promise<void> {
    return this.#tell(learnKey, lesson)
  }

  release(id: string): Promise<void> {
    return this.#tell(releaseKey, { id })
  }

  async read(ids: readonly string[], limits?: KeyLimits): Promise<KeyState[]> {
    return (await this.#rows(ids, limits)).map(({ state }) => state)
  }

  async quotas(ids: readonly string[]): Promise<KeyQuota[]> {
    return (await this.#rows(ids)).map(({ quota }) => quota)
  }

  reportQuota(report: QuotaReport): Promise<void> {
    const { used, limit, remaining } = report
    return this.#tell(reportQuota, { ...report, total: used === undefined ? limit : used + remaining })
  }

  /** Lua writes an empty list as an object. */
  async #rows(
    ids: readonly string[],
    { payers, maxPerDay }: KeyLimits = {},
  ): Promise<{ readonly state: KeyState; readonly quota: KeyQuota }[]> {
    const keys = ids.map((id) => ({ id, pays: payers?.has(id), maxPerDay: maxPerDay?.get(id) }))
    return ids.length === 0 ? [] : this.#ask(readKeys, { keys })
  }

  /** What was learnt about a key has to reach the fleet, whether the request that has learnt it may wait or not. */
  #tell<Result>(lua: LuaCommand, given: object): Promise<Result> {
    return this.#ask(lua, given, { isVital: true })
  }

  async #ask<Result>(lua: LuaCommand, given: object, options?: RunOptions): Promise<Result> {
    const reply = await this.#link.lua(lua, this.#keys, [JSON.stringify(given), this.#channel], options)
    return (reply === null ? undefined : JSON.parse(reply as string)) as Result
  }
}

function takeArguments(ids: readonly string[], options: TakeOptions = {}): object {
  const { units = 1, reserveShare = 0, products = [], learns = false, prefersRich = false } = options
  const candidates = ids.map((id) => ({
    id,
    weight: options.weights?.get(id),
    isDeclared: options.declared?.has(id) || undefined,
    pays: options.payers?.has(id) || undefined,
    maxPerDay: options.maxPerDay?.get(id),
  }))
  return { candidates, units, reserveShare, products, learns: learns && products.length > 0, prefersRich }
}
