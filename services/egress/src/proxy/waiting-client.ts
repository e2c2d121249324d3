import type { Socket } from 'node:net'
import type { ClientSignal } from '../dial/dialer.ts'

/**
 * A client that waits for its tunnel. One that closes the connection, or its side of it, has left. Node listens to a
 * socket no more that it has given away.
 */
export class WaitingClient implements ClientSignal {
  readonly #socket: Socket
  #aborted: boolean
  #listener: (() => void) | undefined

  constructor(socket: Socket) {
    this.#socket = socket
    this.#aborted = socket.destroyed
    socket.on('error', ignore).on('end', this.#onGone).on('close', this.#onGone)
  }

  get aborted(): boolean {
    return this.#aborted
  }

  /** Of one at a time. */
  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listener = listener
  }

  removeEventListener(): void {
    this.#listener = undefined
  }

  /** Leaves the socket to others. */
  release(): void {
    this.#socket.off('error', ignore).off('end', this.#onGone).off('close', this.#onGone)
  }

  readonly #onGone = (): void => {
    if (this.#aborted) return
    this.#aborted = true
    this.#socket.destroy()
    this.#listener?.()
  }
}

function ignore(): void {}
