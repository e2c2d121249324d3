import { constants, type Http2ServerResponse, type Http2Session, type ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { OtherConnections } from '@ipfleet/http-server/graceful-close.ts'
import type { RawFields } from '@ipfleet/proxy/http1/raw-fields.ts'
import { H2Answer } from './h2-answer.ts'

/** Within `calmMs`, so many refused streams of a connection are told why; the others are reset (REFUSED_STREAM). */
const maxWords = 10
/** A connection with so many of them is ended: its client does not heed refusals. */
const maxRefusals = 50
const calmMs = 10_000
/**
 * Within `calmMs`, so many requests of one client may be taken back, over all its connections (CVE-2023-44487). Node
 * counts them for each connection, and a new one begins anew.
 */
const maxResetsPerClient = 1000
const lingerMs = 100
/** For a client to read the last answers and to close its side too. */
const closeGraceMs = 2000
/** What a refusal takes of the flow control window: RFC 9113 §6.9.1. */
const refusalBytes = 1024

interface Refusals {
  count: number
  sinceMs: number
}

export class H2Sessions implements OtherConnections {
  readonly #open = new Set<ServerHttp2Session>()
  /** Below the sessions. */
  readonly #sockets = new Set<Socket>()
  readonly #refusals = new WeakMap<Http2Session, Refusals>()
  #lastCloseMs = -Infinity
  /** Requests taken back since `#resetsSinceMs`, by client. */
  readonly #resets = new Map<string, number>()
  #resetsSinceMs = -Infinity

  add(session: ServerHttp2Session): void {
    this.#open.add(session)
    session.once('close', () => {
      this.#open.delete(session)
      this.#lastCloseMs = performance.now()
    })
  }

  /**
   * To be called with each connection before its session begins. Node.js (26.10) waits without end for the client to close
   * its side of a connection whose session is over.
   */
  carriedBy(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    socket.once('finish', () => setTimeout(() => socket.destroy(), closeGraceMs).unref())
  }

  lastOpenMs(): number {
    return this.#open.size > 0 ? performance.now() : this.#lastCloseMs
  }

  /** Answers a stream with an error and ends it, and the connection if there are too many of them. */
  refuse(res: Http2ServerResponse, error: ProxyError): void {
    const { stream } = res
    const { session } = stream
    if (session === undefined || session.destroyed) return
    const count = this.#countRefusal(session)
    if (count === maxRefusals) endSoon(session)
    // Words are for those who heed them.
    if (count > maxWords || !tellRefusal(res, error)) stream.close(constants.NGHTTP2_REFUSED_STREAM)
  }

  /** Counts a request that its client has taken back, and ends the connection if the client does so too often. */
  countReset(client: string, session: Http2Session | undefined): void {
    const resets = this.#resetsOf(client) + 1
    this.#resets.set(client, resets)
    if (resets > maxResetsPerClient && session !== undefined && !session.destroyed) endSoon(session)
  }

  /** Whether the client has taken back so many requests lately that it gets no new connection. */
  isOverResets(client: string): boolean {
    return this.#resetsOf(client) > maxResetsPerClient
  }

  /** GOAWAY: what has begun is finished. */
  sayGoodbye(): void {
    for (const session of this.#open) session.close()
  }

  destroyAll(): void {
    for (const session of this.#open) session.destroy()
    for (const socket of this.#sockets) socket.destroy()
  }

  #resetsOf(client: string): number {
    const nowMs = performance.now()
    if (nowMs - this.#resetsSinceMs > calmMs) {
      this.#resets.clear()
      this.#resetsSinceMs = nowMs
    }
    return this.#resets.get(client) ?? 0
  }

  #countRefusal(session: Http2Session): number {
    const nowMs = performance.now()
    const before = this.#refusals.get(session)
    const refusals = before !== undefined && nowMs - before.sinceMs < calmMs ? before : { count: 0, sinceMs: nowMs }
    refusals.count += 1
    this.#refusals.set(session, refusals)
    return refusals.count
  }
}

/** Answers a stream with an error and ends it. @returns whether it could: without room for it, the stream would stay */
export function tellRefusal(res: Http2ServerResponse, error: ProxyError, fields: RawFields = []): boolean {
  const { session } = res.stream
  if (session === undefined || session.destroyed || !hasRoom(session)) return false
  const answer = new H2Answer(res)
  answer.closeAfter()
  answer.error(error, fields)
  return true
}

/** Says why, and leaves the client a moment to hear it. */
function endSoon(session: Http2Session): void {
  session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM)
  setTimeout(() => session.destroy(), lingerMs).unref()
}

function hasRoom({ remoteSettings, state }: Http2Session): boolean {
  const { initialWindowSize = 0 } = remoteSettings
  return initialWindowSize >= refusalBytes && (state.remoteWindowSize ?? 0) >= refusalBytes
}
