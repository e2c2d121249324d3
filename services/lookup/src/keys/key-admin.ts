import { monotonicClock } from '@ipfleet/core/clock.ts'
import type { ApiKey } from '@ipfleet/key-pool/api-key.ts'
import type { KeyPool } from '@ipfleet/key-pool/key-pool.ts'
import type { KeyRow, KeyTest } from '@ipfleet/key-pool/key-row.ts'
import type { KeyState } from '@ipfleet/key-pool/key-store.ts'
import { type KeyQuota, weightsOf } from '@ipfleet/key-pool/quota.ts'
import type { Reply } from '@ipfleet/upstream/reply.ts'

export interface KeyAdminDeps {
  /** Asks for the account of a key, which costs no unit. @throws ProxyError `not_offered` */
  readonly ask: (key: ApiKey) => Promise<Reply>
  /** Of each provider. */
  readonly pools: readonly KeyPool[]
  /** How long a key is benched when the request does not say. */
  readonly benchMs: number
  readonly epochMs: () => number
}

/** Where an operator looks after the keys. */
export class KeyAdmin {
  readonly #deps: KeyAdminDeps

  constructor(deps: KeyAdminDeps) {
    this.#deps = deps
  }

  knows(id: string): boolean {
    return this.#poolOf(id) !== undefined
  }

  async bench(id: string, seconds: number | undefined): Promise<void> {
    await this.#poolOf(id)?.rest(id, seconds === undefined ? this.#deps.benchMs : seconds * 1000)
  }

  async release(id: string): Promise<void> {
    await this.#poolOf(id)?.release(id)
  }

  /** Asks upstream once whether it takes the key; nothing is benched for what it says. @throws ProxyError `not_offered` */
  async test(id: string): Promise<KeyTest | undefined> {
    const key = this.#poolOf(id)?.keys.find((one) => one.id === id)
    if (!key) return undefined
    const startedMs = monotonicClock.nowMs()
    const status = statusOf(await this.#deps.ask(key))
    return { status, ms: Math.round(monotonicClock.nowMs() - startedMs) }
  }

  async rows(): Promise<KeyRow[]> {
    return (await Promise.all(this.#deps.pools.map((pool) => this.#rowsOf(pool)))).flat()
  }

  #poolOf(id: string): KeyPool | undefined {
    return this.#deps.pools.find(({ keys }) => keys.some((key) => key.id === id))
  }

  async #rowsOf(pool: KeyPool): Promise<KeyRow[]> {
    const [states, quotas] = await Promise.all([pool.read(), pool.quotas()])
    const shares = sharesOf(pool, states, quotas)
    return pool.keys.flatMap((key): KeyRow[] => {
      const { id, weight = 1, group, provider, overage = 'never', maxPerDay } = key
      const resting = states.find((one) => one.id === id)
      const quota = quotas.find((one) => one.id === id)
      // A key that came between the two readings is seen next time.
      if (!resting || !quota) return []
      const { state, reason, remainingMs, products } = resting
      const told = quota.account ?? quota.reply
      const { overage: units = 0 } = quota
      return [
        {
          id,
          state,
          reason,
          ...(remainingMs !== undefined && this.#end(remainingMs)),
          used: told?.used,
          remaining: told?.remaining,
          limit: told?.limit,
          resets: told && this.#at(told.resetMs),
          taken: quota.taken,
          share: shares.get(id) ?? 0,
          group,
          provider,
          weight,
          overage: overage === 'pay' || units > 0 ? { mode: overage, units } : undefined,
          max_per_day: maxPerDay,
          products: products?.map((one) => ({
            product: one.product,
            reason: one.reason,
            ...this.#end(one.remainingMs),
          })),
        },
      ]
    })
  }

  #end(inMs: number) {
    return { until: this.#at(inMs), seconds: Math.ceil(inMs / 1000) }
  }

  #at(inMs: number): string {
    return new Date(this.#deps.epochMs() + inMs).toISOString()
  }
}

function statusOf(reply: Reply): number {
  return 'answer' in reply ? reply.answer.status : (reply.status ?? 0)
}

function sharesOf({ keys }: KeyPool, states: readonly KeyState[], quotas: readonly KeyQuota[]): Map<string, number> {
  const usable = new Set(states.filter(({ state }) => state !== 'cooling').map(({ id }) => id))
  const weightOf = new Map(keys.map(({ id, weight = 1 }) => [id, weight]))
  const candidates = quotas.filter(({ id }) => usable.has(id))
  const weights = weightsOf(candidates, (id) => weightOf.get(id) ?? 1)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return new Map(candidates.map(({ id }, index) => [id, round((weights[index] ?? 0) / total)]))
}

/** To three digits: more would look exact. */
const round = (share: number): number => Math.round(share * 1000) / 1000
