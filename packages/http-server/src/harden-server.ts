import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { plainAddress } from '@ipfleet/net/client-address.ts'
import { trackConnections } from './connection-tracker.ts'
import { cutLater, lingerAfter } from './linger.ts'
import { MergedChunksRequest } from './merged-chunks.ts'
import { type ParseError, readOddRequestLines } from './odd-request-lines.ts'
import { readTurns } from './read-turns.ts'
import { REQUEST_ID, requestIdOf } from './request-id.ts'
import { type ErrorResponse, sendError } from './send-error.ts'

/** What was refused on a connection before it was a request, so that no request and no answer can tell of it. */
export interface ConnectionRefusal {
  /** Made for it, and told to the client. */
  readonly id: string
  readonly status: number
  readonly code: string
  /** The address of the other end. */
  readonly client: string
}

/** How much a client may ask of a connection. Durations in milliseconds. */
export interface ServerLimits {
  /** From the first byte to the end of the header. Default 10,000 (Node: 60,000). */
  readonly headersTimeoutMs?: number
  /** From the first byte to the end of the body. Default 30,000 (Node: 300,000). */
  readonly requestTimeoutMs?: number
  /** How long an idle connection stays. Must be longer than that of the edge in front. Default 75,000. */
  readonly keepAliveTimeoutMs?: number
  /** More fields than this are answered 431. Default 100. */
  readonly maxHeaders?: number
  /** Header bytes, request line included. Default 16,384. */
  readonly maxHeaderBytes?: number
  /** Connections over this number are closed at once. Default 20,000. */
  readonly maxConnections?: number
  /** Whether methods that Node does not know, and bytes over 0x7f in targets, are read. Default false. */
  readonly takesOddRequestLines?: boolean
}

/** The limits that Node takes when the server is made: `createServer(httpServerOptions(limits))`. */
export function httpServerOptions(limits: ServerLimits = {}): ServerOptions {
  return {
    headersTimeout: limits.headersTimeoutMs ?? 10_000,
    requestTimeout: limits.requestTimeoutMs ?? 30_000,
    keepAliveTimeout: limits.keepAliveTimeoutMs ?? 75_000,
    maxHeaderSize: limits.maxHeaderBytes ?? 16_384,
    // Node looks for expired requests at this interval (default 30 s), so a timeout is late by up to as much.
    connectionsCheckingInterval: 1000,
    // Node would answer a missing Host with an empty 400; the request guard answers it as JSON.
    requireHostHeader: false,
    noDelay: true,
    IncomingMessage: MergedChunksRequest,
  }
}

/**
 * The limits that Node takes later, and JSON answers where it would hang up or answer without a body. `onRefused` is told
 * of each of these answers.
 */
export function hardenServer(
  server: Server,
  limits: ServerLimits = {},
  onRefused: (refusal: ConnectionRefusal) => void = () => {},
): void {
  watchers.set(server, onRefused)
  server.maxHeadersCount = limits.maxHeaders ?? 100
  server.maxConnections = limits.maxConnections ?? 20_000
  // In a cluster (Node 26) a connection over the limit would go round among the workers for ever. Not in its types.
  Object.assign(server, { dropMaxConnection: true })
  const connections = trackConnections(server)
  server.on('connection', (socket: Socket) => readTurns.add(socket))
  const reread = limits.takesOddRequestLines === true ? readOddRequestLines(server) : undefined
  server.on('clientError', (error: ParseError, socket) => {
    if (reread?.(error, socket as Socket) === true) return
    refuseInTurn({ server, socket, kind: kindOf(error) }, connections.pending(socket))
  })
  // Without a listener Node drops a CONNECT without a word. A proxy that takes CONNECT listens before it comes here.
  if (server.listenerCount('connect') === 0) {
    server.on('connect', (req, socket) => refuseTunnel(server, socket, 'method_not_allowed', req))
  }
  // Without a listener Node answers without a body, and goes on.
  server.on('checkExpectation', (req, res) => {
    refused.add(req.socket)
    res.setHeader('Connection', 'close')
    lingerAfter(res)
    onRefused(refuseExpectation(req, res))
  })
}

/** Answers a request that expects what this server does not do (RFC 9110 §10.1.1). */
export function refuseExpectation(
  { headers, socket }: Pick<IncomingMessage, 'headers' | 'socket'>,
  res: ErrorResponse,
): ConnectionRefusal {
  const error = new ProxyError('expectation_failed')
  const id = requestIdOf(headers['x-request-id'])
  res.setHeader(REQUEST_ID, id)
  sendError(res, error)
  return { id, status: error.status, code: error.code, client: plainAddress(socket.remoteAddress) }
}

/**
 * Refuses a CONNECT, after the answers to what came before it. Node 26 (lib/_http_server.js) has taken its own listeners
 * away from the socket: a reset would end the process, and an answer that waits for its client would wait for ever.
 */
export function refuseTunnel(server: Server, socket: Duplex, kind: RefusalKind, req?: IncomingMessage): void {
  const pending = trackConnections(server).pending(socket)
  socket.on('error', () => {}).on('drain', () => pending?.emit('drain'))
  refuseInTurn({ server, socket, kind, id: req?.headers['x-request-id'] }, pending)
}

/** Answers to what never became a request, so that no ProxyError and no ServerResponse can speak for them. */
const refusals = {
  bad_request: { status: 400, title: 'Bad request', message: 'The request could not be understood' },
  method_not_allowed: { status: 405, title: 'Method not allowed', message: 'This server opens no tunnels' },
  request_timeout: { status: 408, title: 'Request timeout', message: 'The request did not arrive in time' },
  headers_too_large: { status: 431, title: 'Header too large', message: 'The request header is over the limit' },
} as const

type RefusalKind = keyof typeof refusals

function kindOf(error: ParseError): RefusalKind {
  if (error.code === 'HPE_HEADER_OVERFLOW') return 'headers_too_large'
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'request_timeout'
  return 'bad_request'
}

const watchers = new WeakMap<Server, (refusal: ConnectionRefusal) => void>()

interface Refusal {
  readonly server: Server
  readonly socket: Duplex
  readonly kind: RefusalKind
  /** That the request brought, if it came so far. */
  readonly id?: string | string[] | undefined
}

/** Connections with a refusal, so that what still arrives on them is not answered again. */
const refused = new WeakSet<Duplex>()

/**
 * Refuses what came on a connection, after the answers to what came before it: a client that gets the refusal first would
 * take it for one of those. `pending`: the response to the latest request.
 */
function refuseInTurn(refusal: Refusal, pending: ServerResponse | undefined): void {
  const { socket } = refusal
  if (refused.has(socket)) return
  refused.add(socket)
  if (pending === undefined || !socket.writable) refuseConnection(refusal)
  else if (pending.req.complete) pending.once('finish', () => refuseConnection(refusal))
  // What is refused is the body of this request, which may itself wait for its turn.
  else if (pending.socket === null) pending.prependOnceListener('socket', () => refuseConnection(refusal))
  else refuseConnection(refusal, pending.headersSent)
}

/** Answers and ends a connection. If an answer has begun already, a second must not get into its middle. */
function refuseConnection({ server, socket, kind, id: given }: Refusal, hasBegun = false): void {
  // The answer before was the last one anyway.
  if (socket.writableEnded) return
  // A reset by the client ends here too; then there is no client to answer.
  if (!socket.writable) {
    socket.destroy()
    return
  }
  if (hasBegun) socket.end()
  else {
    const id = requestIdOf(given)
    socket.end(rawAnswer(kind, id))
    const client = socket instanceof Socket ? plainAddress(socket.remoteAddress) : ''
    watchers.get(server)?.({ id, status: refusals[kind].status, code: kind, client })
  }
  socket.resume()
  // Destroying it at once can overtake the answer with a reset.
  cutLater(socket)
}

function rawAnswer(kind: RefusalKind, id: string): string {
  const { status, title, message } = refusals[kind]
  const body = `${JSON.stringify({ status, error: { title, message } }, null, 2)}\n`
  const head = [
    `HTTP/1.1 ${status} ${title}`,
    ...(status === 405 ? ['Allow: GET, HEAD, POST, OPTIONS'] : []),
    `${REQUEST_ID}: ${id}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'Access-Control-Allow-Origin: *',
    'Connection: close',
  ]
  return `${head.join('\r\n')}\r\n\r\n${body}`
}
