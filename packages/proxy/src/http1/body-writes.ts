import type { Socket } from 'node:net'

type Done = (error?: Error | null) => void

/**
 * The writes of one connection since it first had a body to send. A server may answer in the middle of a body and close. A
 * write fails then, and Node destroys a socket as soon as one fails, with the answer unread on it. So what is written in a
 * turn of the event loop goes out at its end, when all that had come by its beginning has been read, in one write; and a
 * write that fails does not end the connection: nothing more is written, and what has come is read to the end.
 */
export class BodyWrites {
  /** Why nothing can be written any more. */
  failed: Error | undefined
  readonly #socket: Socket
  #isCorked = false

  /** @param onFailed told once */
  constructor(socket: Socket, onFailed: (error: Error) => void) {
    this.#socket = socket
    const held =
      (done: Done): Done =>
      (error) => {
        if (!error) return done()
        this.failed = error
        return onFailed(error)
      }
    // What those who make a stream are to define, by names that Node has chosen.
    const write: Socket['_write'] = Reflect.get(socket, '_write')
    const writev = Reflect.get(socket, '_writev')
    Object.assign(socket, {
      ['_write']: (chunk: unknown, encoding: BufferEncoding, done: Done) =>
        write.call(socket, chunk, encoding, held(done)),
      ['_writev']: (chunks: Parameters<NonNullable<Socket['_writev']>>[0], done: Done) =>
        writev?.call(socket, chunks, held(done)),
    })
  }

  /** What is written from now on goes out at the end of the turn. */
  collect(): void {
    if (this.#isCorked) return
    this.#isCorked = true
    this.#socket.cork()
    setImmediate(this.#release)
  }

  readonly #release = (): void => {
    this.#isCorked = false
    this.#socket.uncork()
  }
}
