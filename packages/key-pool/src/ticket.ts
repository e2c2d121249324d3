import type { ApiKey } from './api-key.ts'
import type { AskedProduct } from './asked-product.ts'
import type { KeyReturn, TakeOptions } from './key-store.ts'

/** The right to send one request with a key. Every ticket is settled once: by a verdict about it, or unsettled. */
export interface Ticket {
  readonly kind: 'ticket'
  readonly key: ApiKey
  readonly product: AskedProduct
  readonly trial: boolean
  /** This request shows whether the key may ask the product. */
  readonly learning: boolean
  /** How much the key's records of the product hold, as far as that was seen. */
  readonly richness: number | undefined
  /** The most that any key's records hold; 0 unless the richest are preferred. */
  readonly richest: number
  /** What its plan pays for was used up. */
  readonly overage?: true
}

/** Every key is benched (or was tried in this request). */
export interface Exhausted extends KeyReturn {
  readonly kind: 'exhausted'
}

/** The rate-limit fields of one reply. */
export interface SeenQuota {
  readonly remaining: number
  readonly limit?: number
  readonly resetSeconds?: number
}

/** What a request costs, and what it is of. */
export interface Demand extends Pick<TakeOptions, 'units' | 'reserveShare' | 'prefersRich'> {
  /** Default: what every plan has. */
  readonly product?: AskedProduct
}

/** How far a verdict reaches: the key as a whole, or what was asked. */
export type Scope = 'key' | 'product'

/** A key is over its limit (`limited`), or its quota is gone. */
export interface Limit {
  readonly scope: Scope
  readonly reason: 'limited' | 'exhausted'
  readonly retryAfterSeconds: number | undefined
  readonly seen?: SeenQuota | undefined
}
