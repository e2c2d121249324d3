import type { IncomingMessage } from 'node:http'
import {
  constants,
  createServer,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2'
import type { ConnectionLimits } from '@ipfleet/http-server/connection-limits.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { type ConnectionRefusal, refuseExpectation } from '@ipfleet/http-server/harden-server.ts'
import { MergedFramesRequest } from '@ipfleet/http-server/merged-frames.ts'
import { expectsContinue } from '@ipfleet/http-server/pass-on-expectations.ts'
import { readTurns } from '@ipfleet/http-server/read-turns.ts'
import { REQUEST_ID, requestIdOf } from '@ipfleet/http-server/request-id.ts'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import { peerAddress, plainAddress } from '@ipfleet/net/client-address.ts'
import type { App } from '../app.ts'
import type { ServerConfig } from '../config/edge-config.ts'
import type { ClientShares } from '../limits/client-shares.ts'
import { H2Answer } from './h2-answer.ts'
import { isHeadTooLarge, limitTrailers, readableHead } from './h2-head-limits.ts'
import { type H2Sessions, tellRefusal } from './h2-sessions.ts'
import { UploadWindows } from './upload-windows.ts'

export interface H2ServerDeps {
  readonly app: App
  /** Told of what is refused before it is a request. */
  readonly onRefused: (refusal: ConnectionRefusal) => void
  /** Whether an address is that of a proxy that is believed what it says of its clients. */
  readonly isTrusted: (address: string) => boolean
  readonly shares: ClientShares
  /** Streams count as connections. */
  readonly limits: ConnectionLimits
  readonly sessions: H2Sessions
  /** Of connections to come. */
  readonly keepAliveMs: () => number
}

/** Streams of one HTTP/2 connection at a time; as nginx and HAProxy have it. */
const maxStreams = 128

/**
 * A backend may send 64 KiB over HTTP/1.1, and nghttp2 reckons with 12 bytes more for each field. An answer over its limit
 * (default 64 KiB) would end the connection with all that is on it.
 */
const maxAnswerHeadBytes = 262_144

/** HTTP/2 over connections that it is handed: it does not listen itself. */
export function createH2Server(
  config: ServerConfig,
  { app, onRefused, isTrusted, shares, limits, sessions, keepAliveMs }: H2ServerDeps,
): Http2Server {
  const windows = new UploadWindows(shares.windows)
  /** In whose share a connection is; a proxy carries the requests of many. */
  const shareOf = (address: string) => (isTrusted(address) ? undefined : addressSubject(address))
  const { settings, maxHeaderListPairs } = readableHead(config)
  const server = createServer({
    maxHeaderListPairs,
    maxSendHeaderBlockLength: maxAnswerHeadBytes,
    settings: { ...settings, maxConcurrentStreams: maxStreams, enablePush: false },
    Http2ServerRequest: MergedFramesRequest,
    // What a backend says twice is passed on twice, as it is to HTTP/1.
    strictSingleValueFields: false,
    // Streams that a client opens and resets at once (CVE-2023-44487): a burst, and then this many a second.
    streamResetBurst: 200,
    streamResetRate: 33,
  })
  const refuseHead = (req: IncomingMessage, res: Http2ServerResponse): void => {
    const error = new ProxyError('headers_too_large')
    const id = requestIdOf(req.headers['x-request-id'])
    onRefused({ id, status: error.status, code: error.code, client: peerAddress(req) })
    if (!tellRefusal(res, error, [REQUEST_ID, id])) res.stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM)
  }
  const serve = (h2: Http2ServerRequest, res: Http2ServerResponse): void => {
    // The two are alike as far as they are used here.
    const req = h2 as unknown as IncomingMessage
    const address = peerAddress(req)
    const why = limits.openStream(address)
    if (why !== undefined) return sessions.refuse(res, shares.refusal('connections', why))
    const { session, endAfterHeaders } = h2.stream
    // Of a server, and gone with a stream that has been reset already.
    if (session && !endAfterHeaders) windows.widen(session as ServerHttp2Session, shareOf(address))
    res.stream.once('close', () => {
      limits.closeStream(address)
      if (res.stream.aborted && !isTrusted(address)) {
        sessions.countReset(addressSubject(address), h2.stream.session)
      }
    })
    if (isHeadTooLarge(req, config)) return refuseHead(req, res)
    if (!endAfterHeaders) limitTrailers(res.stream, config)
    return app({ req, answer: new H2Answer(res), secure: true, upgrade: undefined })
  }
  server.on('request', serve)
  // Without a listener Node would tell the client to go on, which is up to the backend.
  server.on('checkContinue', serve)
  // Without listeners Node would answer these two without a body. The app refuses the first.
  server.on('connect', serve)
  server.on('checkExpectation', (req, res) => {
    // Node (26.10) knows this one in small letters only.
    if (expectsContinue(req)) serve(req, res)
    else onRefused(refuseExpectation(req, res))
  })
  server.on('session', (session) => {
    sessions.add(session)
    windows.add(session, shareOf(plainAddress(session.socket.remoteAddress)))
    readTurns.addSession(session)
    session.setTimeout(keepAliveMs(), () => session.close())
  })
  server.on('sessionError', () => {})
  return server
}
