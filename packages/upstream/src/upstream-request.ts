/**
 * What a sensible answer to the question looks like. `any`: passed on as it is. `object`: JSON too, of which whoever
 * asked reads every byte: here it is only seen that it has a beginning and an end.
 */
export type Expected = 'json' | 'text' | 'object' | 'any'

/** A question in IPinfo's words, whichever provider it is put to. */
export interface UpstreamRequest {
  readonly method: 'GET' | 'POST'
  /** Which of IPinfo's hosts. */
  readonly surface: 'legacy' | 'api'
  /** Path and query on that host, beginning with a slash. */
  readonly path: string
  readonly body?: { readonly bytes: Buffer; readonly contentType: string }
  readonly expected: Expected
  /** The product of the items, of a batch. */
  readonly batchOf?: string
}
