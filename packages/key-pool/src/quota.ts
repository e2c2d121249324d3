/**
 * Where a quota was read: in the key's account (`/me`), or in the rate-limit fields of a reply. They may be about
 * different windows (a month, a minute), so each is kept by itself, and a key must have enough left in both.
 */
export type QuotaSource = 'account' | 'reply'

export interface Quota {
  /** Units left; one is what one query costs. */
  readonly remaining: number
  readonly limit?: number
  readonly used?: number
  /** Until it is full again, or is not believed any more. */
  readonly resetMs: number
}

/** A quota as it was read just now. */
export interface QuotaReport extends Quota {
  readonly id: string
  /** The quota is of that product alone, beside the key's own. */
  readonly product?: string
  readonly source: QuotaSource
  /**
   * `taken` of the key at a moment when all that was taken before had reached upstream. What was taken since may not
   * be in the report; without this nothing is known of it, and a report only lowers what is believed.
   */
  readonly takenBefore?: number
}

export interface KeyQuota {
  readonly id: string
  /** Units taken with it since it was first used. Only ever grows. */
  readonly taken: number
  /** Of these, those beyond what its plan pays for. Absent: none. */
  readonly overage?: number
  readonly account?: Quota
  readonly reply?: Quota
}

/** Of its limit; that much of each key a refresh leaves to requests with a waiting client. */
export const refreshReserveShare = 0.05

/** Of its limit; a key with less left that meets a 429 has met the end of its quota rather than a burst limit. */
const nearlyEmptyShare = 0.01

export const isNearlyEmpty = ({ remaining, limit = 0 }: Quota): boolean => remaining <= limit * nearlyEmptyShare

/** What may still be spent, as far as is known. */
export function spendable({ account, reply }: Pick<KeyQuota, 'account' | 'reply'>): number {
  return Math.min(account?.remaining ?? Infinity, reply?.remaining ?? Infinity)
}

/**
 * Whether the key has enough left in every window, for the longest of those in which it has not.
 * @param reserveShare of its limit, left untouched; where the limit is not known there is no reserve
 */
export function shortForMs(
  { account, reply }: Pick<KeyQuota, 'account' | 'reply'>,
  units: number,
  reserveShare: number,
): number {
  if (units === 0) return 0
  const short = [account, reply].filter(
    (quota) => quota !== undefined && quota.remaining - units < (quota.limit ?? 0) * reserveShare,
  )
  return Math.max(0, ...short.map((quota) => quota?.resetMs ?? 0))
}

/**
 * How often each key is given, relative to the others: the operator's weight times what it has left. A key of which
 * nothing is known counts as the average one. A reply's window matters only where no account is known: it is short,
 * and full again soon.
 */
export function weightsOf(quotas: readonly KeyQuota[], weightOf: (id: string) => number): number[] {
  const source = quotas.some(({ account }) => account !== undefined) ? 'account' : 'reply'
  const lefts = quotas.map((quota) => quota[source]?.remaining)
  const known = lefts.filter((left) => left !== undefined)
  const average = known.reduce((sum, left) => sum + left, 0) / known.length
  const isUseful = known.length > 0 && average > 0
  return quotas.map(({ id }, index) => weightOf(id) * (isUseful ? (lefts[index] ?? average) / average : 1))
}
