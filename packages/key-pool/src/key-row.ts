import type { BenchReason, KeyState } from './key-store.ts'

/** A key as an operator sees it: never its secret. What is not known is left out. */
export interface KeyRow {
  readonly id: string
  readonly state: KeyState['state']
  readonly reason?: BenchReason | undefined
  /** When its bench ends. */
  readonly until?: string
  readonly seconds?: number
  readonly used?: number | undefined
  readonly remaining?: number | undefined
  readonly limit?: number | undefined
  /** When its quota is full again. */
  readonly resets?: string | undefined
  /** Units taken with it since the fleet has counted. */
  readonly taken: number
  /** Of the next requests, from 0 to 1: by its weight and what it has left; 0 while it is benched. */
  readonly share: number
  readonly weight: number
  readonly group?: string | undefined
  readonly provider?: string | undefined
  /** Products that it rests for (`limited`, `exhausted`), or may not ask (`denied`), and until when. */
  readonly products?: readonly ProductRow[] | undefined
  /** Whether it goes on beyond what its plan pays for, and for how many units it has, since the fleet has counted. */
  readonly overage?: { readonly mode: 'pay' | 'never'; readonly units: number } | undefined
  readonly max_per_day?: number | undefined
}

export interface ProductRow {
  readonly product: string
  readonly reason: BenchReason
  readonly until: string
  readonly seconds: number
}

/** What upstream said to an account look-up with a key. */
export interface KeyTest {
  /** 0: nothing. */
  readonly status: number
  readonly ms: number
}
