import { monotonicClock } from '@ipfleet/core/clock.ts'
import type { ApiKey } from '@ipfleet/key-pool/api-key.ts'
import type { KeyPool } from '@ipfleet/key-pool/key-pool.ts'
import type { KeyRow, KeyTest } from '@ipfleet/key-pool/key-row.ts'
import type { KeyState } from '@ipfleet/key-pool/key-store.ts'
import { type KeyQuota, type Quota, weightsOf } from '@ipfleet/key-pool/quota.ts'
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
      const { id, weight = 1, group, provider } = key
      const state = states.find((one) => one.id === id)
      const quota = quotas.find((one) => one.id === id)
      // A key that came between the two readings is seen next time.
      if (!state || !quota) return []
      const told = quota.account ?? quota.reply
      const named = { ...(group !== undefined && { group }), ...(provider !== undefined && { provider }), weight }
      const counts = { taken: quota.taken, share: shares.get(id) ?? 0 }
      return [
        {
          id,
          ...this.#stateOf(state),
          ...(told && this.#leftOf(told)),
          ...counts,
          ...named,
          ...this.#costOf(key, quota),
          ...this.#productsOf(state),
        },
      ]
    })
  }

  #costOf(
    { overage = 'never', maxPerDay }: ApiKey,
    { overage: units = 0 }: KeyQuota,
  ): Pick<KeyRow, 'overage' | 'max_per_day'> {
    return {
      ...((overage === 'pay' || units > 0) && { overage: { mode: overage, units } }),
      ...(maxPerDay !== undefined && { max_per_day: maxPerDay }),
    }
  }

  #productsOf({ products }: KeyState): Pick<KeyRow, 'products'> {
    if (products === undefined) return {}
    return {
      products: products.map(({ product, reason, remainingMs }) => ({
        product,
        reason,
        until: this.#at(remainingMs),
        seconds: Math.ceil(remainingMs / 1000),
      })),
    }
  }

  #stateOf({ state, reason, remainingMs }: KeyState): Pick<KeyRow, 'state' | 'reason' | 'until' | 'seconds'> {
    return {
      state,
      ...(reason && { reason }),
      ...(remainingMs !== undefined && { until: this.#at(remainingMs), seconds: Math.ceil(remainingMs / 1000) }),
    }
  }

  #leftOf({ used, remaining, limit, resetMs }: Quota): Pick<KeyRow, 'used' | 'remaining' | 'limit' | 'resets'> {
    return {
      ...(used !== undefined && { used }),
      remaining,
      ...(limit !== undefined && { limit }),
      resets: this.#at(resetMs),
    }
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
