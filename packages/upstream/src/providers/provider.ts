import type { IncomingHttpHeaders } from 'node:http'
import type { Product } from '../product.ts'
import type { Reply, UpstreamAnswer } from '../reply.ts'
import type { UpstreamRequest } from '../upstream-request.ts'

/** Every provider that can be asked, by the name that settings know it under. */
export const providerNames = ['ipinfo', 'ipasis'] as const

export type ProviderName = (typeof providerNames)[number]

/**
 * One kind of upstream: how a query in IPinfo's words is sent to it, and what its replies mean, again in IPinfo's
 * words. An adapter is one file here, with a table of rules, and one table in its test (`test/provider-contract.ts`);
 * it does no I/O.
 */
export interface Provider {
  /** Whether it takes many queries in one request, as IPinfo does at `/batch`. */
  readonly takesBatches: boolean
  /** Where the query is sent; undefined when this provider does not offer it. */
  urlOf(request: UpstreamRequest): string | undefined
  /** What the request is of: verdicts about keys and upstream are kept for each product by itself. */
  productOf(request: UpstreamRequest): Product
  /** The header fields that carry the key. It travels nowhere else: URLs end up in logs. */
  credentials(key: string): Readonly<Record<string, string>>
  /** What the query costs of a key's quota; of a batch the caller knows that. */
  unitsOf(request: UpstreamRequest): number
  /** What a reply means. An answer is given in IPinfo's form. Never throws. */
  read(heard: UpstreamAnswer, headers: IncomingHttpHeaders, request: UpstreamRequest): Reply
}

export function offers(provider: Provider, request: UpstreamRequest): boolean {
  return provider.urlOf(request) !== undefined
}
