import { quotaTurnsInMs, nextMonthMs } from '@ipfleet/key-pool/bench-times.ts'
import type { Quota } from '@ipfleet/key-pool/quota.ts'
import type { UpstreamAnswer } from '@ipfleet/upstream/reply.ts'
import { isRecord } from '@ipfleet/core/json.ts'

/**
 * What `/me` says of a key. `unlimited`: it names no quota, as for Lite. `unknown`: no answer that could be read; a
 * key is never benched for that, since queries show soon enough whether upstream still accepts it.
 */
export type Account =
  | { readonly kind: 'quota'; readonly quota: Quota }
  | { readonly kind: 'unlimited' }
  | { readonly kind: 'unknown' }

/** IPinfo's way of saying that there is no limit. */
const endless = 2_147_483_647

/**
 * `{"requests": {"day": 3, "month": 41, "limit": 50000, "remaining": 49959}}` → the month's quota. Nothing in it says
 * when that is full again, so it is the first of the next month (UTC), or soon where that has just turned. Remaining
 * beyond the limit is what the account may go on to use for money, and no quota (issue 12).
 * @param epochMs milliseconds since 1970
 */
export function accountOf({ status, body }: UpstreamAnswer, epochMs: number): Account {
  if (status !== 200) return { kind: 'unknown' }
  const account = objectIn(body)
  if (account === undefined) return { kind: 'unknown' }
  const requests = objectOf(account['requests']) ?? {}
  const limit = count(requests['limit'])
  const used = count(requests['month']) ?? count(requests['day'])
  const said = leftOf(requests['remaining'])
  const isBilled = said !== undefined && limit !== undefined && said > limit
  const ofLimit = limit === undefined || used === undefined ? undefined : limit - used
  const remaining = isBilled ? ofLimit : (said ?? ofLimit)
  // Elsewhere than at IPinfo -1 says that there is no limit.
  if (remaining === undefined || limit === endless || leftOf(requests['limit']) === -1) return { kind: 'unlimited' }
  return {
    kind: 'quota',
    quota: {
      remaining: Math.max(0, remaining),
      ...(limit !== undefined && { limit }),
      ...(used !== undefined && { used }),
      resetMs: remaining > 0 ? nextMonthMs(epochMs) - epochMs : quotaTurnsInMs(epochMs),
    },
  }
}

function objectIn(body: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    return objectOf(JSON.parse(body.toString('utf8')))
  } catch {
    return undefined
  }
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return isRecord(value) ? value : undefined
}

function count(value: unknown): number | undefined {
  const number = leftOf(value)
  return number !== undefined && number >= 0 ? number : undefined
}

/** Below zero when more was used than there is. Some write numbers as text. */
function leftOf(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) ? number : undefined
}

/** What `/me` calls products, where that is not their name. */
const productOfFeature: Readonly<Record<string, string>> = { hosted_domains: 'domains', basic_asn: 'ip_asn' }

/** A feature of the account: the product that it is, and its own monthly limit within the key's, if it has one. */
export interface AccountFeature {
  readonly product: string
  readonly limit?: number
}

/** What the account's `features` name; undefined when it names none. */
export function featuresOfAccount({ body }: UpstreamAnswer): readonly AccountFeature[] | undefined {
  const features = objectOf(objectIn(body)?.['features'])
  if (features === undefined) return undefined
  const named = Object.entries(features).filter(([, has]) => has !== false && has !== null)
  if (named.length === 0) return undefined
  return named.map(([name, feature]): AccountFeature => {
    const limit = count(objectOf(feature)?.['monthly'])
    return { product: productOfFeature[name] ?? name, ...(limit !== undefined && { limit }) }
  })
}
