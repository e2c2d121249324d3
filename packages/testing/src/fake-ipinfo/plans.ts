/**
 * What an account has bought. `lite`, `core`, `plus` and `max` are sold today; `free` … `business` are the legacy
 * ones, each with all of the one before, and `business` stands for the contracts that may ask everything.
 */
export type Plan = 'lite' | 'core' | 'plus' | 'max' | 'free' | 'basic' | 'standard' | 'business'

/**
 * The products of api.ipinfo.io by their first segment; of these, ipinfo.io has `/resproxy/{ip}` alone (node-ipinfo
 * asks there).
 */
export const apiHeads: ReadonlySet<string> = new Set(['lite', 'lookup', 'plus', 'max', 'resproxy', 'places'])

const free = ['lite', 'batch', 'tools', 'download', 'geo'] as const
const core = [...free, 'lookup', 'asn'] as const
const plus = [...core, 'plus', 'privacy', 'carrier', 'places'] as const
const max = [...plus, 'max', 'resproxy', 'privacy_extended', 'company', 'abuse', 'domains', 'ranges', 'whois'] as const

const productsByPlan: Readonly<Record<Plan, ReadonlySet<string> | 'all'>> = {
  lite: new Set(['lite', 'batch', 'tools', 'download']),
  free: new Set(free),
  basic: new Set([...free, 'asn']),
  standard: new Set([...free, 'asn', 'privacy']),
  business: 'all',
  core: new Set(core),
  plus: new Set(plus),
  max: new Set(max),
}

export function isPlan(name: string): name is Plan {
  return Object.hasOwn(productsByPlan, name)
}

/** @param plan undefined: an account that may ask everything */
export function planHas(plan: Plan | undefined, product: string): boolean {
  const products = plan === undefined ? 'all' : productsByPlan[plan]
  return products === 'all' || products.has(product)
}

/** What `/me` calls the features that have limits of their own, by the product that they limit. */
export const featureOf: Readonly<Record<string, string>> = {
  geo: 'core',
  asn: 'asn',
  privacy: 'privacy',
  company: 'company',
  carrier: 'carrier',
  ranges: 'ranges',
  abuse: 'abuse',
  domains: 'hosted_domains',
  whois: 'whois',
}

const otherHeads: ReadonlySet<string> = new Set(['domains', 'ranges', 'whois'])

/** Whether a batch's item says by its first segment which product it is of; others are of the batch's own. */
export function namesItsProduct(head: string): boolean {
  return apiHeads.has(head) || otherHeads.has(head) || /^as\d{1,10}$/i.test(head)
}
