import type { ApiKey } from '@ipfleet/key-pool/api-key.ts'
import type { KeyPool } from '@ipfleet/key-pool/key-pool.ts'
import type { KeyQuota } from '@ipfleet/key-pool/quota.ts'
import type { Reply } from '@ipfleet/upstream/reply.ts'
import { type Account, type AccountFeature, accountOf, featuresOfAccount } from './quota-account.ts'
import { richnessByFeatures } from '../upstream/richness.ts'
import type { QuotaClaims } from './quota-claims.ts'
import { between } from '@ipfleet/core/jitter.ts'

export interface QuotaPollerDeps {
  readonly pool: KeyPool
  /** Asks `/me` once, past the loader: nothing is tried again, and no key is benched for what it says. */
  readonly ask: (key: ApiKey) => Promise<Reply>
  readonly claims: QuotaClaims
  /** QUOTA_POLL_SECONDS. */
  readonly everyMs: number
  /** After so long every request has reached upstream or never will. */
  readonly settleMs: number
  readonly epochMs: () => number
}

/** Replicas that start together do not all ask at once, nor does one always come first. */
const jitterShare = 0.2
/** A key that answers 429 to many requests is asked about once. */
const checkedForMs = 10_000

/**
 * Asks `/me` what each key has left: one replica for all, every QUOTA_POLL_SECONDS, and at once when a key meets a
 * 429 that does not say for how long. Keys whose account names no quota (Lite) are not asked about again.
 */
export class QuotaPoller {
  readonly #deps: QuotaPollerDeps
  readonly #unlimited = new Set<string>()
  /** What each key's account has named, so that it is noted once. */
  readonly #noted = new Map<string, string>()
  readonly #timers = new Map<NodeJS.Timeout, () => void>()
  #closed = false

  constructor(deps: QuotaPollerDeps) {
    this.#deps = deps
    deps.pool.on('unexplained', (id) => void this.#check(id))
    // Claims leave out the keys that have been asked about lately.
    deps.pool.on('replaced', () => void this.#poll())
  }

  async start(): Promise<void> {
    const { everyMs } = this.#deps
    while (!this.#closed) {
      await this.#poll()
      await this.#pause(between(everyMs * (1 - jitterShare), everyMs))
    }
  }

  close(): void {
    this.#closed = true
    for (const [timer, resolve] of this.#timers) {
      clearTimeout(timer)
      resolve()
    }
  }

  async #poll(): Promise<void> {
    try {
      const due = this.#deps.pool.keys.filter(({ id }) => !this.#unlimited.has(id))
      const mine: ApiKey[] = []
      for (const key of due) if (await this.#claims(`poll:${key.id}`)) mine.push(key)
      if (mine.length > 0) await this.#askAll(mine)
    } catch {
      // The next round tries again.
    }
  }

  #claims(work: string): Promise<boolean> {
    const { claims, everyMs } = this.#deps
    return claims.claim(work, everyMs * (1 - jitterShare))
  }

  /**
   * Requests that are on their way while `/me` answers are in its count or not. So what was taken is noted first, and
   * asked only when all of that has arrived; keys of which nothing is known yet need no such care.
   */
  async #askAll(keys: readonly ApiKey[]): Promise<void> {
    const before = new Map((await this.#deps.pool.quotas()).map((quota) => [quota.id, quota]))
    const isNew = ({ id }: ApiKey): boolean => before.get(id)?.account === undefined
    await this.#askEach(keys.filter(isNew), before)
    const known = keys.filter((key) => !isNew(key))
    if (known.length === 0) return
    await this.#pause(this.#deps.settleMs)
    await this.#askEach(known, before)
  }

  async #askEach(keys: readonly ApiKey[], before: ReadonlyMap<string, KeyQuota>): Promise<void> {
    for (const key of keys) {
      if (this.#closed) return
      const { account, features } = await this.#account(key)
      await this.#noteFeatures(key.id, account, features)
      if (account.kind === 'unlimited') this.#unlimited.add(key.id)
      if (account.kind !== 'quota') continue
      if (account.quota.remaining >= 1) await this.#deps.pool.refilled(key.id)
      await this.#deps.pool.noteAccount(key.id, account.quota, before.get(key.id)?.taken ?? 0)
    }
  }

  /** A key has met a 429: is its quota gone? */
  async #check(id: string): Promise<void> {
    const { pool, claims } = this.#deps
    const key = pool.keys.find((one) => one.id === id)
    if (!key || this.#closed || this.#unlimited.has(id)) return
    try {
      if (!(await claims.claim(`check:${id}`, checkedForMs))) return
      const before = (await pool.quotas()).find((one) => one.id === id)
      const { account } = await this.#account(key)
      if (account.kind !== 'quota') return
      await pool.noteAccount(id, account.quota, before?.taken ?? 0)
      if (account.quota.remaining < 1) await pool.exhausted(id, account.quota.resetMs)
    } catch {
      // The next 429 asks again.
    }
  }

  async #account(key: ApiKey): Promise<{ account: Account; features?: readonly AccountFeature[] }> {
    const reply = await this.#deps.ask(key)
    if (reply.kind !== 'answered') return { account: { kind: 'unknown' } }
    const features = featuresOfAccount(reply.answer)
    return { account: accountOf(reply.answer, this.#deps.epochMs()), ...(features && { features }) }
  }

  /** The plan has the products that its account names, and those with less than the whole quota have one of their own. */
  async #noteFeatures(id: string, account: Account, features: readonly AccountFeature[] = []): Promise<void> {
    const signature = JSON.stringify(features)
    if (features.length === 0 || this.#noted.get(id) === signature) return
    this.#noted.set(id, signature)
    const richness = richnessByFeatures(features.map(({ product }) => product))
    await this.#deps.pool.learn(id, 'lookup', richness.get('lookup'))
    const whole = account.kind === 'quota' ? (account.quota.limit ?? Infinity) : Infinity
    for (const { product, limit } of features) {
      await this.#deps.pool.learn(id, product, richness.get(product))
      // Of a product that a plan lacks upstream tells when it is asked for it.
      if (limit !== undefined && limit > 0 && limit < whole) await this.#deps.pool.noteProductLimit(id, product, limit)
    }
  }

  async #pause(durationMs: number): Promise<void> {
    if (this.#closed) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, durationMs).unref()
    this.#timers.set(timer, resolve)
    await promise
    this.#timers.delete(timer)
  }
}
