import { nextMonthMs } from '@ipfleet/key-pool/bench-times.ts'
import type { Quota } from '@ipfleet/key-pool/quota.ts'
import type { UpstreamAnswer } from '@ipfleet/upstream/reply.ts'

/**
 * What `/me` says of a key. `unlimited`: it names no quota, as for Lite. `unknown`: no answer that could be read; a
 * key is never benched for that, since questions show soon enough whether upstream still accepts it.
 */
export type Account =
  | { readonly kind: 'quota'; readonly quota: Quota }
  | { readonly kind: 'unlimited' }
  | { readonly kind: 'unknown' }

/**
 * `{"requests": {"day": 3, "month": 41, "limit": 50000, "remaining": 49959}}` → the month's quota. Nothing in it says
 * when that is full again, so it is the first of the next month (UTC).
 * @param epochMs milliseconds since 1970
 */
export function accountOf({ status, body }: UpstreamAnswer, epochMs: number): Account {
  if (status !== 200) return { kind: 'unknown' }
  const requests = requestsOf(body)
  if (requests === 'unreadable') return { kind: 'unknown' }
  const limit = count(requests.limit)
  const used = count(requests.month) ?? count(requests.day)
  const remaining = leftOf(requests.remaining) ?? (limit === undefined || used === undefined ? undefined : limit - used)
  if (remaining === undefined) return { kind: 'unlimited' }
  return {
    kind: 'quota',
    quota: {
      remaining: Math.max(0, remaining),
      ...(limit !== undefined && { limit }),
      ...(used !== undefined && { used }),
      resetMs: nextMonthMs(epochMs) - epochMs,
    },
  }
}

function requestsOf(body: Buffer): Readonly<Record<string, unknown>> | 'unreadable' {
  try {
    const account = JSON.parse(body.toString('utf8')) as { requests?: unknown } | null
    if (typeof account !== 'object' || account === null) return 'unreadable'
    const { requests } = account
    return typeof requests === 'object' && requests !== null ? { ...requests } : {}
  } catch {
    return 'unreadable'
  }
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

/** Below zero when more was used than there is. */
function leftOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined
}

/** What `/me` calls products, where that is not their name. */
const productOfFeature: Readonly<Record<string, string>> = { hosted_domains: 'domains', basic_asn: 'ip_asn' }

/** The products that the account's `features` name; undefined when it names none. */
export function productsOfAccount({ body }: UpstreamAnswer): readonly string[] | undefined {
  try {
    const { features } = JSON.parse(body.toString('utf8')) as { features?: unknown }
    if (typeof features !== 'object' || features === null) return undefined
    const named = Object.entries(features).filter(([, has]) => has !== false && has !== null)
    const products = named.map(([name]) => productOfFeature[name] ?? name)
    return products.length === 0 ? undefined : products
  } catch {
    return undefined
  }
}
