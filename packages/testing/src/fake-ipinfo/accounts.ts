import { type Answer, json, refusals } from './answer.ts'
import type { Plan } from './legacy-record.ts'

/** What one API key may do. */
export interface FakeKey {
  /** Requests a month; without one the key is never exhausted. */
  readonly monthlyQuota?: number
  /** Requests in each window of 60 s that starts with the first one. */
  readonly perMinute?: number
  /** What the full legacy record holds. Default `free`: no modules. */
  readonly plan?: Plan
  /** Products that answer 401 `{}`: `privacy`, `asn`, `ranges`, `whois`, `lookup`, `geo` (plain records) … */
  readonly lacks?: readonly string[]
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
  | { readonly kind: 'granted'; readonly items: number; readonly plan: Plan }
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
}

// What IPinfo's own example of /me shows for a key without a hard limit: 2^31 - 1 less what was used.
const endless = 2 ** 31 - 1
const statedLimit = 50_000

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
    if (account === undefined) return { kind: 'refused', answer: refusals.unknownToken }
    if (account.key.lacks?.includes(bill.product)) return { kind: 'refused', answer: refusals.lacksPermission }
    const plan = account.key.plan ?? 'free'
    const left = bill.product === 'lite' ? bill.items : this.#left(account)
    if (left < 1 && bill.items > 0) {
      return { kind: 'refused', answer: token === undefined ? refusals.keylessRateLimited : refusals.rateLimited }
    }
    const items = Math.min(bill.items, left)
    if (bill.product !== 'lite') {
      account.used += items
      account.minuteUsed += items
    }
    return { kind: 'granted', items, plan }
  }

  /** `/me`: free of charge, and answered after the quota is gone. */
  me(token: string | undefined): Answer {
    const account = token === undefined ? undefined : this.#find(token)
    if (account === undefined) return refusals.invalidToken
    const { monthlyQuota, plan = 'free' } = account.key
    const limit = monthlyQuota ?? statedLimit
    const remaining = (monthlyQuota ?? endless) - account.used
    return json({
      token,
      plan,
      requests: { day: account.used, month: account.used, limit, remaining },
      features: { core: { daily: limit, monthly: limit } },
    })
  }

  allowance(token: string | undefined): Allowance | undefined {
    const account = this.#find(token)
    if (account === undefined) return undefined
    const limit = Math.min(account.key.monthlyQuota ?? endless, account.key.perMinute ?? endless)
    return { limit, remaining: Math.min(limit, this.#left(account)) }
  }

  /** A new month, for one token or for all and the keyless surface. */
  reset(token?: string): void {
    const accounts = token === undefined ? [...this.#accounts.values(), this.#keyless] : [this.#find(token)]
    for (const account of accounts) {
      if (account !== undefined) Object.assign(account, { used: 0, minuteUsed: 0 })
    }
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
    const { monthlyQuota, perMinute } = account.key
    const month = (monthlyQuota ?? Number.POSITIVE_INFINITY) - account.used
    if (perMinute === undefined) return month
    const nowMs = this.#options.nowMs()
    if (nowMs - account.minuteStartMs >= 60_000) Object.assign(account, { minuteStartMs: nowMs, minuteUsed: 0 })
    return Math.min(month, perMinute - account.minuteUsed)
  }
}

function newAccount(key: FakeKey): Account {
  return { key, used: 0, minuteStartMs: Number.NEGATIVE_INFINITY, minuteUsed: 0 }
}
