import type { Product } from '@ipfleet/upstream/product.ts'
import type { UpstreamRequest } from '@ipfleet/upstream/upstream-request.ts'
import { isRecord } from '@ipfleet/core/json.ts'

/** Members that a full record has or lacks by the plan of the key, on ipinfo.io and on api.ipinfo.io. */
const planMembers = ['asn', 'privacy', 'company', 'abuse', 'domains', 'anonymous', 'mobile'] as const
/** The same as an account's features name them, for either host. */
const recordFeatures: Readonly<Record<string, ReadonlySet<string>>> = {
  core: new Set(['asn', 'privacy', 'company', 'abuse', 'domains']),
  lookup: new Set(['privacy', 'carrier']),
}

/** What a full record is asked by: its plan's members differ from key to key. */
const fullRecord: Readonly<Record<UpstreamRequest['surface'], RegExp>> = {
  legacy: /^\/[\da-f]*[.:][\da-f.:]*$/i,
  api: /^\/lookup\/[^/?]+$/,
}

function isFullRecord({ method, surface, path }: UpstreamRequest): boolean {
  return method === 'GET' && fullRecord[surface].test(path)
}

/** A full record of an address, or a batch of some. */
export function holdsFullRecords(request: UpstreamRequest, { batchOf }: Product): boolean {
  return batchOf === undefined ? isFullRecord(request) : batchOf === 'core' || batchOf === 'lookup'
}

/**
 * How much of what depends on the plan a full record holds. Undefined where it cannot tell: an error, a reserved
 * address, or one that no network announces, of which richer plans know nothing more.
 */
export function richnessOf({ status, body }: { readonly status: number; readonly body: Buffer }): number | undefined {
  if (status !== 200) return undefined
  const record = recordIn(body)
  if (record === undefined || record['bogon'] === true) return undefined
  if (record['org'] === undefined && record['asn'] === undefined && record['as'] === undefined) return undefined
  const anonymous = record['anonymous']
  const isOfMax = typeof anonymous === 'object' && anonymous !== null && 'is_res_proxy' in anonymous
  return planMembers.filter((name) => record[name] !== undefined).length + (isOfMax ? 1 : 0)
}

/** How rich the full records of an account are by the products that it names; for those products that have some. */
export function richnessByFeatures(features: readonly string[]): ReadonlyMap<string, number> {
  return new Map(
    Object.entries(recordFeatures).map(([product, names]) => [
      product,
      features.filter((name) => names.has(name)).length,
    ]),
  )
}

/** Whether a full record lacks what an earlier one of the same address holds. */
export function isPoorer(
  answer: { readonly status: number; readonly body: Buffer },
  before: { readonly status: number; readonly body: Buffer },
): boolean {
  // Most records are as long as the one before, or longer.
  if (answer.body.length >= before.body.length) return false
  const [now, then] = [richnessOf(answer), richnessOf(before)]
  return now !== undefined && then !== undefined && now < then
}

function recordIn(body: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return isRecord(value) ? value : undefined
  } catch {
    return undefined
  }
}
