import { classify } from '../classify.ts'
import { type Product, productIn } from '../product.ts'
import { quotaOf } from '../quota-headers.ts'
import type { Rule } from '../rules.ts'
import type { UpstreamRequest } from '../upstream-request.ts'
import { ipinfoProducts } from './ipinfo-products.ts'
import { ipinfoRules } from './ipinfo-rules.ts'
import type { Provider } from './provider.ts'

export interface IpinfoHosts {
  /** Scheme, host and optional path prefix, without a slash at the end; `ipinfo.io`. */
  readonly legacy: string
  /** The same of the newer products: `api.ipinfo.io`. */
  readonly api: string
}

/** ipinfo.io, whose queries and answers need no translation. @param ownRules of the operator, before the table's */
export function ipinfo(hosts: IpinfoHosts, ownRules: readonly Rule[] = []): Provider {
  const rules = [...ownRules, ...ipinfoRules]
  return {
    takesBatches: true,
    urlOf: ({ surface, path }) => `${hosts[surface]}${path}`,
    productOf,
    credentials: (key) => ({ authorization: `Bearer ${key}` }),
    unitsOf: (request) => (costsNothing.has(productOf(request).kind) ? 0 : 1),
    read: (heard, headers, request) => {
      // IPinfo sent no such fields in 2024; where one of its hosts begins to, they are believed.
      const quota = quotaOf(headers)
      const context = { request, product: productOf(request), rules }
      return { ...classify(heard, headers, context), ...(quota && { quota }) }
    },
  }
}

const productOf = (request: UpstreamRequest): Product => productIn(ipinfoProducts, request)

/** Lite is not limited, `/me` is the account itself, and tools have limits of their own. */
const costsNothing: ReadonlySet<string> = new Set(['free', 'tool'])
