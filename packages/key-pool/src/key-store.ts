import type { KeyQuota, QuotaReport } from './quota.ts'

/**
 * Why a key is benched: over its limit, refused by upstream, out of quota until that is full again, or by an operator.
 */
export type BenchReason = 'limited' | 'denied' | 'exhausted' | 'operator'

export type Taken =
  | {
      readonly kind: 'key'
      readonly id: string
      /** The key has just ended a bench, and this one request shows whether it is good again. */
      readonly trial: boolean
      /** It is not known whether the key may ask this product: this one request shows it. */
      readonly learning?: true
      /** How much its records of this product hold, as far as that was seen. */
      readonly richness?: number
      /** The most that records of any key which could be used now hold; only where the richest are preferred. */
      readonly richest?: number
      /** Records of some keys are known to hold less than those of others. */
      readonly mixed?: true
      /** It is beyond what its plan pays for. */
      readonly overage?: true
    }
  | ({
      readonly kind: 'none'
      /** A key is being tried right now and may be back any moment. */
      readonly trialUnderWay: boolean
    } & KeyReturn)

/** When the first key may be used (again). */
export interface KeyReturn {
  readonly retryAfterMs: number
  /** Every key is known not to be allowed to ask this: the status that was said to the last of them. */
  readonly deniedStatus?: number
}

/** What the operator has said of keys. */
export interface KeyLimits {
  /** Keys that may go on beyond their plan, which costs: after the paid units of all others. */
  readonly payers?: ReadonlySet<string>
  /** Maximum of units of a key in a day (UTC), by id. */
  readonly maxPerDay?: ReadonlyMap<string, number>
}

export interface TakeOptions extends KeyLimits {
  /** What the request costs of a key's quota: one for each item of a batch, 0 for what is free. Default 1. */
  readonly units?: number
  /** Of each key's limit, from 0 to 1: that much is left to requests that a client waits for. Default 0. */
  readonly reserveShare?: number
  /** The operator's weights, by id; 1 where there is none. */
  readonly weights?: ReadonlyMap<string, number>
  /** What the key must be allowed to ask; none: only the key as a whole counts. */
  readonly products?: readonly string[]
  /** Some plans lack the first of the products: a key of which that is not known is tried by one request at a time. */
  readonly learns?: boolean
  /** Keys whose plans differ in what they answer: those with the richest records, and those not seen yet. */
  readonly prefersRich?: boolean
  /** Keys that the operator has declared for the first of the products: they come before all others. */
  readonly declared?: ReadonlySet<string>
}

export interface Bench {
  readonly id: string
  /** For that only; absent: the key as a whole. */
  readonly product?: string
  /** Other keys of the same account, which are benched with it. */
  readonly peers?: readonly string[]
  readonly reason: BenchReason
  readonly durationMs: number
  /** Double it for each bench since the key's last success, up to this. Absent: exactly `durationMs`. */
  readonly doublingUpToMs?: number
  /** What upstream answered, of a refusal. */
  readonly status?: number
  /** It may not be the key's fault: no strike. */
  readonly isProvisional?: boolean
}

/** What keeps a key from one product. */
export interface ProductState {
  readonly product: string
  readonly reason: BenchReason
  readonly remainingMs: number
}

export interface KeyState {
  readonly id: string
  readonly state: 'active' | 'cooling' | 'trial'
  /** Set unless active. A key that has nothing left is cooling, `exhausted`, though nothing benched it. */
  readonly reason?: BenchReason
  /** Set while cooling. */
  readonly remainingMs?: number
  /** Products that it rests for, or may not ask, by name. Absent when there are none. */
  readonly products?: readonly ProductState[]
}

/** What an answer showed of a key. */
export interface Lesson {
  readonly id: string
  readonly product: string
  /** Believed for so long. */
  readonly forMs: number
  readonly richness?: number
}

/**
 * The state of the keys: whose turn it is, which are benched for what until when, what each may ask, and what each has
 * left. Keys are known by id only. One contract, two adapters: Redis for the fleet, memory for one process.
 */
export interface KeyStore {
  /**
   * The next of `ids` that may be used, and has enough left: in turn, more often the more it has left. What it costs
   * is counted at once, whether or not it will reach upstream.
   */
  take(ids: readonly string[], options?: TakeOptions): Promise<Taken>
  /** What was counted for a request that cost nothing in the end, of the key and of the products. */
  giveBack(id: string, units: number, products?: readonly string[]): Promise<void>
  /** When one of `ids` may be taken, on the assumption that the trials under way succeed. */
  returnOf(ids: readonly string[], options?: TakeOptions): Promise<KeyReturn>
  /** Benches a key; an earlier, longer bench stands. Returns how long it is benched from now, in milliseconds. */
  bench(bench: Bench): Promise<number>
  /** A trial's result, for the key and the products: it is good again, or nothing was learnt and the next tries it. */
  endTrial(id: string, result: 'recovered' | 'unknown', products?: readonly string[]): Promise<void>
  /** An answer has shown that the key may ask the product, and what its records hold. */
  learn(lesson: Lesson): Promise<void>
  /** Ends whatever keeps the key from being used, for whatever product, and forgets its quota until that is read again. */
  release(id: string): Promise<void>
  read(ids: readonly string[], limits?: KeyLimits): Promise<KeyState[]>
  /** What upstream says that a key has left. */
  reportQuota(report: QuotaReport): Promise<void>
  quotas(ids: readonly string[]): Promise<KeyQuota[]>
}

/** How many benches in a row still double the next one; beyond it the cap has long been reached. */
export const maxStrikes = 20

/** What a verdict is about: a key, or a key for one product. Ids hold no slash. */
export const scopeOf = (id: string, product?: string): string => (product === undefined ? id : `${id}/${product}`)
