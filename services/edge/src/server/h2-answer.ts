import {
  constants,
  type Http2ServerResponse,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
  type ServerStreamResponseOptions,
} from 'node:http2'
import type { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { pairsOf, type RawFields } from '@ipfleet/proxy/http1/raw-fields.ts'
import { sendError } from '@ipfleet/http-server/send-error.ts'
import { type AnswerStart, type ClientAnswer, noListener } from '@ipfleet/proxy/relay/client-answer.ts'

/** To a client that speaks HTTP/2. Writes to the stream itself: Node's compatible layer has no raw fields. */
export class H2Answer implements ClientAnswer {
  listener = noListener
  readonly #res: Http2ServerResponse
  readonly #stream: ServerHttp2Stream
  #closing = false
  #awaitsDrain = false

  constructor(res: Http2ServerResponse) {
    this.#res = res
    this.#stream = res.stream
    this.#stream.once('close', () => this.listener.clientGone())
    // A reset by the client is seen as `close`; without a listener Node would throw.
    this.#stream.on('error', () => {})
    // Of a reset without an error, Node 26.10 (lib/internal/http2/core.js, `onStreamClose`) tells only when the request is
    // read, and then ends it as if the whole body had come. All other codes destroy the stream at once.
    this.#stream.once('aborted', () => {
      if (this.#stream.rstCode === constants.NGHTTP2_NO_ERROR) this.#stream.destroy()
    })
  }

  get begun(): boolean {
    return this.#stream.headersSent
  }

  get gone(): boolean {
    return this.#stream.destroyed || this.#stream.closed
  }

  get pending(): boolean {
    return !this.gone && this.#stream.writableLength > 0
  }

  interim(status: number, fields: RawFields): void {
    if (this.gone || this.begun) return
    this.#stream.additionalHeaders({ ...headersOf(fields), ':status': status })
  }

  whole({ status }: Omit<AnswerStart, 'framing'>, fields: RawFields, body: Buffer): void {
    if (this.gone) return
    this.#respond(status, fields, { endStream: body.length === 0 })
    if (body.length > 0) this.#stream.end(body)
  }

  head({ status, framing }: AnswerStart, fields: RawFields): void {
    if (this.gone) return
    this.#respond(status, fields, { waitForTrailers: framing === 'chunked' })
  }

  write(chunk: Buffer): boolean {
    if (this.gone) return true
    const flows = this.#stream.write(chunk)
    if (!flows) this.#awaitDrain()
    return flows
  }

  end(trailers: RawFields): void {
    if (this.gone) return
    // The compatible layer sends them, when the body is out.
    this.#res.addTrailers(headersOf(trailers))
    this.#stream.end()
  }

  error(error: ProxyError, fields: RawFields): void {
    if (this.gone) return
    if (this.begun) {
      this.cut()
      return
    }
    for (const [name, value] of pairsOf(fields)) this.#res.setHeader(name, value)
    sendError(this.#res, error)
  }

  cut(): void {
    if (!this.#stream.destroyed) this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR)
  }

  /** Only this stream ends. RFC 9113 §8.1: NO_ERROR tells the client that the rest of its request is not needed. */
  closeAfter(): void {
    if (this.#closing) return
    this.#closing = true
    const stream = this.#stream
    // Trailers go out a turn after the body.
    stream.once('finish', () => setImmediate(() => setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR))))
  }

  #respond(status: number, fields: RawFields, options: ServerStreamResponseOptions): void {
    if (status <= maxNodeStatus && status !== RESET_CONTENT)
      this.#stream.respond({ ...headersOf(fields), ':status': status }, options)
    // Only in a flat list does Node leave the value as it is; its types want a string.
    else
      this.#stream.respond(
        [':status', new UncheckedStatus(status) as unknown as string, ...fields.map(forClients)],
        options,
      )
  }

  /** Once: after the first refusal there may still come what had been read before the flow stopped. */
  #awaitDrain(): void {
    if (this.#awaitsDrain) return
    this.#awaitsDrain = true
    this.#stream.once('drain', () => {
      this.#awaitsDrain = false
      this.listener.clientReads()
    })
  }
}

const maxNodeStatus = 599
const RESET_CONTENT = 205

/**
 * Node 26.10 refuses to send a status above 599 over HTTP/2 (lib/internal/http2/core.js,
 * `validatePreparedResponseHeaders`), and ends the stream of a 205 before its body, although servers send one. It judges
 * the number and sends the text. RFC 9110 §15 has clients take a status above 599 for a 5xx.
 */
class UncheckedStatus {
  readonly #status: number

  constructor(status: number) {
    this.#status = status
  }

  valueOf(): number {
    return maxNodeStatus
  }

  toString(): string {
    return String(this.#status)
  }
}

/** nghttp2 1.52, with which curl and others read, takes an answer with one of these for broken. HTTP/1 has them as they came. */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const refusedByClients = /[\0-\x08\x0a-\x1f\x7f]/g
const forClients = (value: string): string => value.replace(refusedByClients, ' ')

/** Repeated fields become lists; all names are lower case (RFC 9113 §8.2). Hop-by-hop ones are off already. */
function headersOf(fields: RawFields): OutgoingHttpHeaders {
  // `constructor` and `__proto__` are names of fields too.
  const headers: Record<string, string | string[]> = Object.create(null)
  for (const [spelling, given] of pairsOf(fields)) {
    const name = spelling.toLowerCase()
    const value = forClients(given)
    const before = headers[name]
    if (before === undefined) headers[name] = value
    else headers[name] = typeof before === 'string' ? [before, value] : [...before, value]
  }
  return headers
}
