/** What a sensible answer to the question looks like. `any`: passed on as it is. */
export type Expected = 'json' | 'text' | 'any'

/** A question in IPinfo's words, whichever provider it is put to. */
export interface UpstreamRequest {
  readonly method: 'GET' | 'POST'
  /** Which of IPinfo's hosts. */
  readonly surface: 'legacy' | 'api'
  /** Path and query on that host, beginning with a slash. */
  readonly path: string
  readonly body?: { readonly bytes: Buffer; readonly contentType: string }
  readonly expected: Expected
}
