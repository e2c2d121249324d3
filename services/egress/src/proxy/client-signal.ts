import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { ClientSignal } from '../dial/dial-request.ts'

/** Whether the client of one request has left. It has one listener at a time. */
class Departure implements ClientSignal {
  #aborted = false
  #listener: (() => void) | undefined

  get aborted(): boolean {
    return this.#aborted
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listener = listener
  }

  removeEventListener(): void {
    this.#listener = undefined
  }

  protected abort(): void {
    this.#aborted = true
    this.#listener?.()
  }
}

/** The client has left when its response closes before the answer is out. The connection may carry more requests. */
export class ResponseSignal extends Departure {
  constructor(res: ServerResponse) {
    super()
    if (res.destroyed) this.abort()
    res.once('close', () => this.abort())
  }
}

/** The client of a CONNECT has left when the connection or its side of it closes. Node no longer listens to it. */
export class TunnelSignal extends Departure {
  readonly #socket: Socket

  constructor(socket: Socket) {
    super()
    this.#socket = socket
    if (socket.destroyed) this.abort()
    socket.on('error', ignore).on('end', this.#onGone).on('close', this.#onGone)
  }

  /** Removes its listeners. */
  release(): void {
    this.#socket.off('error', ignore).off('end', this.#onGone).off('close', this.#onGone)
  }

  readonly #onGone = (): void => {
    if (this.aborted) return
    this.#socket.destroy()
    this.abort()
  }
}

function ignore(): void {}
