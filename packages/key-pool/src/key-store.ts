import type { KeyQuota, QuotaReport } from './quota.ts'

/**
 * Why a key is benched: over its limit, refused by upstream, out of quota until that is full again, or because an
 * operator said so.
 */
export type BenchReason = 'limited' | 'denied' | 'exhausted' | 'operator'

export type Taken =
  /** `trial`: the key has just ended a bench, and this one request shows whether it is good again. */
  | { readonly kind: 'key'; readonly id: string; readonly trial: boolean }
  /** No key may be used. `trialUnderWay`: one is being tried right now and may be back any moment. */
  | { readonly kind: 'none'; readonly retryAfterMs: number; readonly trialUnderWay: boolean }

export interface TakeOptions {
  /** What the request costs of a key's quota: 1 unless told, one for each item of a batch, 0 for what is free. */
  readonly units?: number
  /** Of each key's limit, from 0 to 1: that much is left to requests that somebody waits for. Default 0. */
  readonly reserveShare?: number
  /** The operator's weights, by id; 1 where there is none. */
  readonly weights?: ReadonlyMap<string, number>
}

export interface Bench {
  readonly id: string
  /** Keys that share its fate: others of the same account. */
  readonly peers?: readonly string[]
  readonly reason: BenchReason
  readonly durationMs: number
  /** Double it for each bench since the key's last success, up to this. Absent: exactly `durationMs`. */
  readonly doublingUpToMs?: number
}

export interface KeyState {
  readonly id: string
  readonly state: 'active' | 'cooling' | 'trial'
  /** Set unless active. A key that has nothing left is cooling, `exhausted`, though nobody has benched it. */
  readonly reason?: BenchReason
  /** Set while cooling. */
  readonly remainingMs?: number
}

/**
 * The state of the keys: whose turn it is, who is benched until when, and what each has left. Keys are known by id
 * only. One contract, two adapters: Redis for the fleet, memory for one process.
 */
export interface KeyStore {
  /**
   * The next of `ids` that may be used, and has enough left: in turn, more often the more it has left. What it costs
   * is counted at once, whether or not it will reach upstream.
   */
  take(ids: readonly string[], options?: TakeOptions): Promise<Taken>
  /** Benches a key; an earlier, longer bench stands. Returns how long it is benched from now, in milliseconds. */
  bench(bench: Bench): Promise<number>
  /** A trial's result: the key is good again, or nothing was learnt and the next request tries it. */
  endTrial(id: string, result: 'recovered' | 'unknown'): Promise<void>
  /** Ends whatever keeps the key from being used, and forgets its quota until that is read again. */
  release(id: string): Promise<void>
  read(ids: readonly string[]): Promise<KeyState[]>
  /** What upstream says that a key has left. */
  reportQuota(report: QuotaReport): Promise<void>
  quotas(ids: readonly string[]): Promise<KeyQuota[]>
}

/** How many benches in a row still double the next one; beyond it the cap has long been reached. */
export const maxStrikes = 20
