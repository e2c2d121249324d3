import type { ClientRequest } from 'node:http'
import type { Socket } from 'node:net'
import type { Request } from 'got'

/** What a connection says that the other side has given up. */
const goneCodes: ReadonlySet<unknown> = new Set(['ECONNRESET', 'EPIPE'])

/**
 * Watches whether a request is sent on a connection that lay idle and that upstream was closing at that moment. Such a
 * request fails through nobody's fault and without having been read, as a rule; a GET may be sent again (RFC 9112
 * §9.3.1). One whose answer had begun to come may not: it was read.
 */
export class StaleConnectionWatch {
  #request: ClientRequest | undefined
  #socket: Socket | undefined
  #bytesBefore = 0

  constructor(stream: Request) {
    stream.once('request', (request: ClientRequest) => {
      this.#request = request
      request.once('socket', (socket) => {
        this.#socket = socket
        this.#bytesBefore = socket.bytesRead
      })
    })
  }

  /** Whether `code` is how a request on a stale connection fails, and no byte of an answer has come. */
  metStaleConnection(code: string): boolean {
    const isReused = this.#request?.reusedSocket === true
    return isReused && goneCodes.has(code) && this.#socket?.bytesRead === this.#bytesBefore
  }
}
