import type { Http2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import { plainAddress } from '@ipfleet/net/client-address.ts'

/** A connection of which the reading can be stopped. */
export interface ReadSource {
  readonly client: string
  readonly isOpen: boolean
  /** Whether it was stopped by another, who will start it. */
  readonly isPaused: boolean
  stop(): void
  start(): void
}

/** Of HTTP/1. */
export class SocketSource implements ReadSource {
  readonly client: string
  readonly #socket: Socket

  constructor(socket: Socket) {
    this.#socket = socket
    this.client = clientOf(socket)
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed
  }

  get isPaused(): boolean {
    return this.#socket.isPaused()
  }

  /** Node 26 resumes the socket whenever a request wants more. */
  stop(): void {
    this.leave()
    this.#socket.on('resume', pauseAgain)
    this.#socket.pause()
  }

  start(): void {
    this.leave()
    this.#socket.resume()
  }

  /** It may be started by others again. */
  leave(): void {
    this.#socket.off('resume', pauseAgain)
  }
}

function pauseAgain(this: Socket): void {
  this.pause()
}

interface Handle {
  readStop(): void
  readStart(): void
}

/**
 * Of HTTP/2. In Node 26 the socket of a session cannot be paused (ERR_HTTP2_NO_SOCKET_MANIPULATION), and its flow control
 * bounds bytes, not frames; so the handle below the socket is stopped. Without one, as in a later Node, nothing is.
 */
export class SessionSource implements ReadSource {
  readonly client: string
  readonly isPaused = false
  readonly #session: Http2Session
  readonly #handle: Handle | undefined

  constructor(session: Http2Session) {
    this.#session = session
    this.client = clientOf(session.socket)
    this.#handle = Reflect.get(session.socket, '_handle') as Handle | undefined
  }

  get isOpen(): boolean {
    return !this.#session.destroyed
  }

  stop(): void {
    if (this.isOpen) this.#handle?.readStop()
  }

  start(): void {
    if (this.isOpen) this.#handle?.readStart()
  }
}

function clientOf({ remoteAddress }: Socket): string {
  return addressSubject(plainAddress(remoteAddress))
}
