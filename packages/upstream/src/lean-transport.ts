import type { IncomingHttpHeaders } from 'node:http'
import { errorCode } from '@ipfleet/core/error-code.ts'
import { ConnectionPool } from '@ipfleet/proxy/http1/connection-pool.ts'
import type { Exchange } from '@ipfleet/proxy/http1/exchange.ts'
import type { AnswerHead, ExchangeHandler } from '@ipfleet/proxy/http1/exchange-types.ts'
import { noFieldValue } from '@ipfleet/proxy/http1/raw-fields.ts'
import { UpstreamFault } from '@ipfleet/proxy/http1/upstream-fault.ts'
import type { Cancellation } from './cancellation.ts'
import { acceptedCodings, decoded } from './content-coding.ts'
import {
  bodyTooLarge,
  failureWithCode,
  type IncomingAnswer,
  type OutgoingRequest,
  type Transport,
  TransportError,
} from './transport.ts'

export interface LeanTransportOptions {
  /** Of one body, with and without content coding. */
  readonly maxBodyBytes: number
  /** To one host. */
  readonly maxSockets: number
  /** How long a connection is used; then the name is looked up anew. */
  readonly maxLifeMs: number
}

const connectTimeoutMs = 5000
/** Shorter than most servers keep a connection. Where they keep it shorter, the request is sent again. */
const keepAliveMs = 30_000

/**
 * Straight to upstream, over the edge's HTTP/1.1 connections: a request costs a tenth of what it costs through got. The
 * deadline is the caller's.
 */
export class LeanTransport implements Transport {
  readonly #options: LeanTransportOptions
  readonly #pools = new Map<string, ConnectionPool>()

  constructor(options: LeanTransportOptions) {
    this.#options = options
  }

  send(request: OutgoingRequest, cancellation: Cancellation, isFresh: boolean): Promise<IncomingAnswer> {
    const pool = this.#poolTo(request.url)
    // What lies idle there is as old as the connection that turned out to be stale.
    if (isFresh) pool.dropIdle()
    return new Promise((resolve, reject) => {
      const answer = new AnswerCollector(this.#options.maxBodyBytes, resolve, reject)
      const { body } = request
      const exchange = pool.exchange(
        { method: request.method, head: headOf(request), body: body === undefined ? 'none' : body.length },
        answer,
      )
      answer.exchange = exchange
      if (body !== undefined) {
        exchange.write(body)
        exchange.finish()
      }
      cancellation.onCancel(() => answer.fail(failureWithCode('ABORT_ERR')))
    })
  }

  close(): void {
    for (const pool of this.#pools.values()) pool.close()
  }

  #poolTo({ origin, protocol, hostname, port }: URL): ConnectionPool {
    const known = this.#pools.get(origin)
    if (known) return known
    if (protocol !== 'https:' && protocol !== 'http:') throw failureWithCode('ERR_UNSUPPORTED_PROTOCOL')
    const isSecure = protocol === 'https:'
    const host = hostname.replace(/^\[|\]$/g, '')
    const pool = new ConnectionPool(
      { address: host, port: Number(port || (isSecure ? 443 : 80)), ...(isSecure && { tls: { servername: host } }) },
      {
        maxConnections: this.#options.maxSockets,
        maxWaiting: Infinity,
        connectTimeoutMs,
        answerTimeoutMs: Infinity,
        idleTimeoutMs: Infinity,
        keepAliveMs,
        maxConnectionLifeMs: this.#options.maxLifeMs,
      },
    )
    this.#pools.set(origin, pool)
    return pool
  }
}

function headOf({ method, url, headers }: OutgoingRequest): string {
  let head = `${method} ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\naccept-encoding: ${acceptedCodings}\r\n`
  for (const name in headers) {
    const value = headers[name] ?? ''
    if (noFieldValue.test(value)) throw failureWithCode('ERR_INVALID_CHAR')
    head += `${name}: ${value}\r\n`
  }
  return head
}

class AnswerCollector implements ExchangeHandler {
  exchange: Exchange | undefined
  readonly #maxBytes: number
  readonly #resolve: (answer: IncomingAnswer | Promise<IncomingAnswer>) => void
  readonly #reject: (error: TransportError) => void
  #head: AnswerHead | undefined
  #chunks: Buffer[] = []
  #bytes = 0

  constructor(
    maxBytes: number,
    resolve: (answer: IncomingAnswer | Promise<IncomingAnswer>) => void,
    reject: (error: TransportError) => void,
  ) {
    this.#maxBytes = maxBytes
    this.#resolve = resolve
    this.#reject = reject
  }

  answered(head: AnswerHead, whole: Buffer | undefined): void {
    this.#head = head
    if (whole === undefined) return
    this.data(whole)
    this.ended()
  }

  data(chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes > this.#maxBytes) this.fail(bodyTooLarge(this.#maxBytes))
    else this.#chunks.push(chunk)
  }

  ended(): void {
    const { status, fields } = this.#head as AnswerHead
    const headers = headersOf(fields)
    const [first, ...more] = this.#chunks
    const body = first !== undefined && more.length === 0 ? first : Buffer.concat(this.#chunks)
    const coding = headers['content-encoding']
    if (coding === undefined) this.#resolve({ status, headers, body })
    else this.#resolve(decoded(body, coding, this.#maxBytes).then((plain) => ({ status, headers, body: plain })))
  }

  failed(fault: UpstreamFault): void {
    this.#reject(failureOf(fault, this.exchange?.isReused === true))
  }

  /** Ends the exchange, and with it its connection. */
  fail(error: TransportError): void {
    this.exchange?.abort()
    this.#chunks = []
    this.#reject(error)
  }

  interim(): void {}
  switched(): void {}
  drained(): void {}
}

/** Names in lower case; of a name that stands more than once, the values as one list (RFC 9110 §5.3). */
function headersOf(fields: readonly string[]): IncomingHttpHeaders {
  const headers: Record<string, string> = {}
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = (fields[at] as string).toLowerCase()
    const value = fields[at + 1] as string
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`
  }
  return headers
}

function failureOf({ kind, message, cause }: UpstreamFault, isReused: boolean): TransportError {
  if (kind === 'garbled') return new TransportError('upstream_invalid', message)
  if (kind === 'lost') return failureWithCode(errorCode(cause) ?? 'ECONNRESET', { isStale: isReused })
  if (kind === 'cut') return failureWithCode(errorCode(cause) ?? 'ECONNRESET')
  const code = errorCode(cause)
  return code === undefined ? new TransportError('upstream_unreachable', message) : failureWithCode(code)
}
