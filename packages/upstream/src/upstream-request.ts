/**
 * What a sensible answer to the query looks like. `any`: passed on as it is. `object`: JSON too, of which the caller
 * reads every byte; here only its beginning and end are checked.
 */
export type Expected = 'json' | 'text' | 'object' | 'any'

/** A query in IPinfo's words, whichever provider it is sent to. */
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
