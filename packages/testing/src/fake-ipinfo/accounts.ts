import { type Answer, json, type RefusalForm, refusals, refusalOfProduct } from './answer.ts'
import { featureOf, type Plan, planHas } from './plans.ts'

/** What one API key may do. */
export interface FakeKey {
  /** Requests a month; without one the key is never exhausted. */
  readonly monthlyQuota?: number
  /** Requests in each window of 60 s that starts with the first one. */
  readonly perMinute?: number
  /** Goes on beyond its quota, which is billed: `/me` states more remaining than the limit. Default false. */
  readonly overage?: boolean
  /** Requests a month of single products, such as `{ privacy: 100 }`, within the quota. */
  readonly features?: Readonly<Record<string, number>>
  /** Which products may be asked, and what a full record holds. Left out: everything, with the records of `free`. */
  readonly plan?: Plan
  /** Products beyond the plan: `privacy`, `asn`, `ranges`, `whois`, `lookup`, `geo` (plain records) … */
  readonly modules?: readonly string[]
  /** Products that are refused whatever the plan. */
  readonly lacks?: readonly string[]
  /** How a product that the key may not ask is refused. Default `unauthorized`: 401 `{}`. */
  readonly refusesWith?: RefusalForm
  /** What a used-up quota is answered with. Default 429. */
  readonly exhaustedWith?: 402 | 429
  /** Uses of each tool in a day (UTC). Default 5, on any plan. */
  readonly toolsPerDay?: number
  /** Downloads in a day (UTC). Default 3. */
  readonly downloadsPerDay?: number
}

export interface AccountsOptions {
  /** Undefined: every token is known, and has no quota. */
  readonly keys: Readonly<Record<string, FakeKey>> | undefined
  readonly requireToken: boolean
  /** What the keyless surface answers before 429, when a token is required. */
  readonly keylessQuota: number
  readonly nowMs: () => number
}

/** Whether a request is answered: `granted` says how many of its items the quota paid for. */
export type Admission =
  | { readonly kind: 'granted'; readonly items: number; readonly plan: Plan | undefined }
  | { readonly kind: 'refused'; readonly answer: Answer }

export interface Bill {
  readonly product: string
  /** One a request, one each for a batch's items. Lite costs nothing. */
  readonly items: number
}

/** What the rate-limit headers tell; seconds to the reset are whole. */
export interface Allowance {
  readonly limit: number
  readonly remaining: number
}

interface Account {
  readonly key: FakeKey
  used: number
  minuteStartMs: number
  minuteUsed: number
  /** By product, this month. */
  usedOf: Map<string, number>
  /** Tools and downloads, on `day`. */
  usedToday: Map<string, number>
  day: number
}

// What IPinfo's own example of /me shows for a key without a hard limit: 2^31 - 1 less what was used.
const endless = 2 ** 31 - 1
const statedLimit = 50_000
const dayMs = 86_400_000

/** The keys, their plans and what they have left. */
export class Accounts {
  readonly #options: AccountsOptions
  readonly #accounts = new Map<string, Account>()
  readonly #keyless: Account

  constructor(options: AccountsOptions) {
    this.#options = options
    for (const [token, key] of Object.entries(options.keys ?? {})) this.#accounts.set(token, newAccount(key))
    this.#keyless = newAccount(options.requireToken ? { monthlyQuota: options.keylessQuota } : {})
  }

  /** Charges the token and says if the request may be answered; `token` is undefined on the keyless surface. */
  admit(token: string | undefined, bill: Bill): Admission {
    const account = this.#find(token)
    if (account === undefined) return refused(refusals.unknownToken)
    const { key } = account
    const refusal = this.refusalOf(token, bill.product)
    if (refusal !== undefined) return refused(refusal)
    if (bill.product === 'lite') return { kind: 'granted', items: bill.items, plan: key.plan }
    const left = Math.min(this.#left(account), featureLeft(account, bill.product))
    if (left < 1 && bill.items > 0) {
      if (token === undefined) return refused(refusals.keylessRateLimited)
      return refused(key.exhaustedWith === 402 ? refusals.paymentRequired : refusals.rateLimited)
    }
    const items = Math.min(bill.items, left)
    account.used += items
    account.minuteUsed += items
    addTo(account.usedOf, bill.product, items)
    return { kind: 'granted', items, plan: key.plan }
  }

  /** Charges one use of a tool (`map`, `summarize`) or a download, which are counted by the day and not by the month. */
  admitDaily(token: string | undefined, use: 'map' | 'summarize' | 'download'): Admission {
    const account = this.#find(token)
    if (account === undefined) return refused(refusals.unknownToken)
    const refusal = this.refusalOf(token, use === 'download' ? 'download' : 'tools')
    if (refusal !== undefined) return refused(refusal)
    const { key } = account
    const nowMs = this.#options.nowMs()
    const day = Math.floor(nowMs / dayMs)
    if (account.day !== day) Object.assign(account, { day, usedToday: new Map() })
    const limit = use === 'download' ? (key.downloadsPerDay ?? 3) : (key.toolsPerDay ?? 5)
    if ((account.usedToday.get(use) ?? 0) >= limit) {
      const limited = use === 'download' ? refusals.downloadsUsedUp : refusals.toolUsedUp
      return refused({ ...limited, retryAfterSeconds: Math.ceil(((day + 1) * dayMs - nowMs) / 1000) })
    }
    addTo(account.usedToday, use, 1)
    return { kind: 'granted', items: 1, plan: key.plan }
  }

  /** Why the token may not ask a product at all, if so. Charges nothing. */
  refusalOf(token: string | undefined, product: string): Answer | undefined {
    const key = this.#find(token)?.key
    if (key === undefined) return refusals.unknownToken
    const { plan, modules = [], lacks = [], refusesWith = 'unauthorized' } = key
    const may = !lacks.includes(product) && (planHas(plan, product) || modules.includes(product))
    return may ? undefined : refusalOfProduct[refusesWith]
  }

  /** `/me`: free of charge, and answered after the quota is gone. */
  me(token: string | undefined): Answer {
    const account = token === undefined ? undefined : this.#find(token)
    if (token === undefined || account === undefined) return refusals.invalidToken
    const { key, used } = account
    const limit = key.monthlyQuota ?? statedLimit
    const remaining = (isEndless(key) ? endless : limit) - used
    return json({
      token,
      plan: key.plan ?? 'free',
      requests: { day: used, month: used, limit, remaining },
      features: this.#features(token, key, limit),
    })
  }

  allowance(token: string | undefined): Allowance | undefined {
    const account = this.#find(token)
    if (account === undefined) return undefined
    const limit = Math.min(account.key.monthlyQuota ?? endless, account.key.perMinute ?? endless)
    return { limit, remaining: Math.min(limit, this.#left(account)) }
  }

  /** Changes what a key may do and keeps what it has used; undefined takes the key away. */
  setKey(token: string, key: FakeKey | undefined): void {
    const account = this.#accounts.get(token)
    if (key === undefined) this.#accounts.delete(token)
    else this.#accounts.set(token, { ...newAccount(key), ...(account && { ...account, key }) })
  }

  /** A new month, for one token or for all and the keyless surface. */
  reset(token?: string): void {
    const accounts = token === undefined ? [...this.#accounts.values(), this.#keyless] : [this.#find(token)]
    for (const account of accounts) {
      if (account === undefined) continue
      Object.assign(account, { used: 0, minuteUsed: 0, usedOf: new Map(), usedToday: new Map() })
    }
  }

  #features(token: string, key: FakeKey, limit: number): Record<string, object> {
    const features: Record<string, object> = {}
    for (const [product, feature] of Object.entries(featureOf)) {
      if (this.refusalOf(token, product) !== undefined) continue
      const monthly = key.features?.[product] ?? limit
      features[feature] = { daily: monthly, monthly }
    }
    return features
  }

  #find(token: string | undefined): Account | undefined {
    if (token === undefined) return this.#keyless
    const account = this.#accounts.get(token)
    if (account !== undefined || this.#options.keys !== undefined) return account
    const created = newAccount({})
    this.#accounts.set(token, created)
    return created
  }

  #left(account: Account): number {
    const { key, used } = account
    const month = isEndless(key) ? Number.POSITIVE_INFINITY : (key.monthlyQuota ?? 0) - used
    if (key.perMinute === undefined) return month
    const nowMs = this.#options.nowMs()
    if (nowMs - account.minuteStartMs >= 60_000) Object.assign(account, { minuteStartMs: nowMs, minuteUsed: 0 })
    return Math.min(month, key.perMinute - account.minuteUsed)
  }
}

function newAccount(key: FakeKey): Account {
  const counters = { used: 0, minuteUsed: 0, usedOf: new Map<string, number>(), usedToday: new Map<string, number>() }
  return { key, ...counters, minuteStartMs: Number.NEGATIVE_INFINITY, day: 0 }
}

function refused(answer: Answer): Admission {
  return { kind: 'refused', answer }
}

function isEndless({ monthlyQuota, overage = false }: FakeKey): boolean {
  return overage || monthlyQuota === undefined
}

function featureLeft({ key, usedOf }: Account, product: string): number {
  const limit = key.features?.[product]
  return limit === undefined ? Number.POSITIVE_INFINITY : limit - (usedOf.get(product) ?? 0)
}

function addTo(counts: Map<string, number>, name: string, count: number): void {
  counts.set(name, (counts.get(name) ?? 0) + count)
}
