import type { ErrorResponse } from './send-error.ts'

/** What answering a query takes of a response: a `ServerResponse`, or that of the fast lane. */
export interface ResponseWriter extends ErrorResponse {
  /** Whether the client has left. */
  readonly destroyed: boolean
  /** Whether the client has taken the whole answer. */
  readonly writableFinished: boolean
  appendHeader(name: string, value: string): unknown
  hasHeader(name: string): boolean
  /** @param fields a flat list of names and values, beside those that were set before */
  writeHead(status: number, fields: string[]): unknown
  end(body: string | Buffer | undefined, encoding?: BufferEncoding): unknown
  /** The client has taken the answer, or has left. */
  once(event: 'close', listener: () => void): unknown
}
