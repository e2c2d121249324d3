/** Why a key is benched: over its limit, or refused by upstream. */
export type BenchReason = 'limited' | 'denied'

export type Taken =
  /** `trial`: the key has just ended a bench, and this one request shows whether it is good again. */
  | { readonly kind: 'key'; readonly id: string; readonly trial: boolean }
  /** No key may be used. `trialUnderWay`: one is being tried right now and may be back any moment. */
  | { readonly kind: 'none'; readonly retryAfterMs: number; readonly trialUnderWay: boolean }

export interface Bench {
  readonly id: string
  readonly reason: BenchReason
  readonly durationMs: number
  /** Double it for each bench since the key's last success, up to this. Absent: exactly `durationMs`. */
  readonly doublingUpToMs?: number
}

export interface KeyState {
  readonly id: string
  readonly state: 'active' | 'cooling' | 'trial'
  /** Set unless active. */
  readonly reason?: BenchReason
  /** Set while cooling. */
  readonly remainingMs?: number
}

/**
 * The state of the keys: whose turn it is, and who is benched until when. Keys are known by id only. One contract,
 * two adapters: Redis for the fleet, memory for one process.
 */
export interface KeyStore {
  /** The next of `ids` that may be used, in turn. */
  take(ids: readonly string[]): Promise<Taken>
  /** Benches a key; an earlier, longer bench stands. Returns how long it is benched from now, in milliseconds. */
  bench(bench: Bench): Promise<number>
  /** A trial's result: the key is good again, or nothing was learnt and the next request tries it. */
  endTrial(id: string, result: 'recovered' | 'unknown'): Promise<void>
  read(ids: readonly string[]): Promise<KeyState[]>
}

/** How many benches in a row still double the next one; beyond it the cap has long been reached. */
export const maxStrikes = 20
