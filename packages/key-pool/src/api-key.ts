import { createHash } from 'node:crypto'

/** One key of the pool. The secret goes upstream and nowhere else; everything else knows the key by its id. */
export interface ApiKey {
  /** The first 12 hex digits of the secret's SHA-256: the same on every replica, and no way back to the secret. */
  readonly id: string
  readonly secret: string
  /** How often it is used, relative to the others; 1 unless told. */
  readonly weight?: number
  /** Keys of one account are benched together. */
  readonly group?: string
  /** Whose key it is; absent: the first provider's. */
  readonly provider?: string
  /** What it may ask, as its owner has declared; absent: that is learnt. */
  readonly products?: readonly string[]
  /** Whether it goes on beyond what its plan pays for, which is billed. Default never. */
  readonly overage?: 'pay' | 'never'
  /** Maximum of units in a day (UTC). */
  readonly maxPerDay?: number
}

export function apiKey(secret: string): ApiKey {
  return { id: createHash('sha256').update(secret).digest('hex').slice(0, 12), secret }
}
