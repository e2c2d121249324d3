import { luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { type Bench, type BenchReason, type KeyState, type KeyStore, maxStrikes, type Taken } from './key-store.ts'

const takeKey = luaCommand(new URL('take-key.lua', import.meta.url))
const benchKey = luaCommand(new URL('bench-key.lua', import.meta.url))
const endTrialOfKey = luaCommand(new URL('end-trial.lua', import.meta.url))
const readKeys = luaCommand(new URL('read-keys.lua', import.meta.url))

const benches = 'ipfleet:keys:{pool}:benches'
const cursor = 'ipfleet:keys:{pool}:cursor'
/** Each change of a key's state, as JSON: `{id, state, reason?, remainingMs?}`. */
export const keysChannel = 'ipfleet:keys'

/** Key state of the fleet. Every method throws RedisUnavailable when Redis gives no answer. */
export class RedisKeyStore implements KeyStore {
  readonly #link: RedisLink
  readonly #trialMs: number

  constructor(link: RedisLink, { trialMs }: { trialMs: number }) {
    this.#link = link
    this.#trialMs = trialMs
  }

  async take(ids: readonly string[]): Promise<Taken> {
    const reply = await this.#link.lua(takeKey, [benches, cursor], [this.#trialMs, ...ids])
    const [id, second, third] = reply as [string | null, number, number]
    if (id === null) return { kind: 'none', retryAfterMs: second, trialUnderWay: third === 1 }
    return { kind: 'key', id, trial: second === 1 }
  }

  async bench({ id, reason, durationMs, doublingUpToMs = 0 }: Bench): Promise<number> {
    const args = [id, reason, Math.ceil(durationMs), Math.ceil(doublingUpToMs), maxStrikes, keysChannel]
    return Number(await this.#link.lua(benchKey, [benches], args))
  }

  async endTrial(id: string, result: 'recovered' | 'unknown'): Promise<void> {
    await this.#link.lua(endTrialOfKey, [benches], [id, result, keysChannel])
  }

  async read(ids: readonly string[]): Promise<KeyState[]> {
    const reply = (await this.#link.lua(readKeys, [benches], ids)) as [number, BenchReason][]
    return reply.map(([remainingMs, reason], index): KeyState => {
      const id = ids[index] as string
      if (remainingMs < 0) return { id, state: 'active' }
      return remainingMs > 0 ? { id, state: 'cooling', reason, remainingMs } : { id, state: 'trial', reason }
    })
  }
}
