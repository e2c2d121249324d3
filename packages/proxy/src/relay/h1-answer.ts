import type { ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'
import type { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { indexOfName, pairsOf, type RawFields } from '../http1/raw-fields.ts'
import { lingerAfter } from '@ipfleet/http-server/linger.ts'
import { sendError } from '@ipfleet/http-server/send-error.ts'
import { type AnswerStart, type ClientAnswer, noListener } from './client-answer.ts'

/** Up to this, head and body leave as one string, in one write; beyond it, copying costs more than a second write. */
export const maxInOneWrite = 16_384

export class H1Answer implements ClientAnswer {
  listener = noListener
  readonly #res: ServerResponse
  #closing = false
  #hasWritten = false
  #awaitsDrain = false

  constructor(res: ServerResponse) {
    this.#res = res
    // Node 26.10 then sends control characters in a field other than NUL, CR and LF (lib/_http_outgoing.js,
    // `_isLenientHeaderValidation`). The option of the server that sets it changes how requests are read as well.
    Object.assign(res, { httpValidation: 'relaxed' })
    res.once('close', () => this.listener.clientGone())
  }

  get begun(): boolean {
    return this.#res.headersSent
  }

  get gone(): boolean {
    return this.#res.destroyed
  }

  get pending(): boolean {
    return !this.gone && !this.#res.writableFinished
  }

  interim(status: number, fields: RawFields): void {
    // RFC 9110 §15.2: an HTTP/1.0 client must not get one. A pipelined request has no connection before its turn.
    const { req, socket } = this.#res
    if (req.httpVersionMinor === 0 || socket === null || this.begun) return
    this.#res.writeInformation(status, fields)
    // As `writeContinue` of Node 26.10 does: without it the connection ends with the answer. Not in its types.
    if (status === 100) Object.assign(this.#res, { ['_sent100']: true })
  }

  whole(head: Omit<AnswerStart, 'framing'>, fields: RawFields, body: Buffer): void {
    this.#begin(head, fields)
    if (body.length === 0) this.#res.end()
    else if (body.length > maxInOneWrite) this.#res.end(body)
    else this.#res.end(body.toString('latin1'), 'latin1')
  }

  head(head: AnswerStart, fields: RawFields): void {
    this.#begin(head, fields)
    // What did not come with the head may be long in coming.
    process.nextTick(() => this.#flushHead())
  }

  write(chunk: Buffer): boolean {
    this.#hasWritten = true
    const flows = this.#res.write(chunk)
    if (!flows) this.#awaitDrain()
    return flows
  }

  end(trailers: RawFields): void {
    if (trailers.length > 0) this.#res.addTrailers(pairsOf(trailers))
    this.#res.end()
  }

  error(error: ProxyError, fields: RawFields): void {
    if (this.begun) {
      this.cut()
      return
    }
    const res = this.#res
    if (this.#closing) res.shouldKeepAlive = false
    for (const [name, value] of pairsOf(fields)) res.setHeader(name, value)
    sendError(res, error)
  }

  cut(): void {
    const { req, socket } = this.#res
    // To HTTP/1.0 the end of the connection is the end of the body, but for a reset. TLS tells the two apart by itself.
    if (req.httpVersionMinor === 0 && socket !== null && !(socket instanceof TLSSocket)) socket.resetAndDestroy()
    else this.#res.destroy()
  }

  closeAfter(): void {
    if (this.#closing) return
    this.#closing = true
    const res = this.#res
    lingerAfter(res)
    // It was not said in the head that the connection ends, so Node would keep it.
    if (res.headersSent) res.once('finish', () => res.req.socket.destroySoon())
  }

  #flushHead(): void {
    // `flushHeaders` of Node 26.10 writes the head as UTF-8, in which a byte over 0x7f becomes two.
    if (!this.#hasWritten && !this.#res.writableEnded) this.#res.write('', 'latin1')
  }

  #begin({ status, reason }: Omit<AnswerStart, 'framing'>, fields: RawFields): void {
    const res = this.#res
    if (this.#closing) res.shouldKeepAlive = false
    // Node takes a flat list of names and values as it is; its types want it mutable.
    res.writeHead(status, reason, lengthBehindDisposition(fields) as string[])
  }

  /** Once: after the first refusal there may still come what had been read before the flow stopped. */
  #awaitDrain(): void {
    if (this.#awaitsDrain) return
    this.#awaitsDrain = true
    this.#res.once('drain', () => {
      this.#awaitsDrain = false
      this.listener.clientReads()
    })
  }
}

/**
 * Behind a Content-Length, Node 26.10 takes the value of Content-Disposition for UTF-8 and writes it as Latin-1
 * (lib/_http_outgoing.js, `processHeader`; nodejs/node#46528), and so changes or refuses its bytes. Fields of different
 * names may change places (RFC 9110 §5.3), so the length goes last then.
 */
function lengthBehindDisposition(fields: RawFields): RawFields {
  const lengthAt = indexOfName(fields, 'content-length')
  if (lengthAt < 0 || indexOfName(fields, 'content-disposition', lengthAt) < 0) return fields
  return [...fields.slice(0, lengthAt), ...fields.slice(lengthAt + 2), ...fields.slice(lengthAt, lengthAt + 2)]
}
