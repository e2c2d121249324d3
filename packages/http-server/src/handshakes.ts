import type { Server, Socket } from 'node:net'
import type { Server as TlsServer, TLSSocket } from 'node:tls'

/**
 * Connections of a listener whose TLS handshake has not ended. Node.js knows them by no list, and ends them after
 * `handshakeTimeout` only, which would hold up the end of the service.
 */
export class Handshakes {
  /** By their other end, which is all that TLS tells of the connection below it. */
  readonly #open = new Map<string, Socket>()

  /** @param tls what the connections of `listener` are given to; it may be the listener itself */
  constructor(listener: Server, tls: TlsServer) {
    listener.on('connection', (socket: Socket) => this.#begin(socket))
    // Before others, which may say that the connection is from elsewhere (PROXY protocol).
    tls.prependListener('secureConnection', (socket) => this.#open.delete(peerOf(socket)))
  }

  /** The connection below one whose handshake has failed. */
  below(socket: TLSSocket): Socket | undefined {
    return this.#open.get(peerOf(socket))
  }

  destroyAll(): void {
    for (const socket of this.#open.values()) socket.destroy()
  }

  #begin(socket: Socket): void {
    const peer = peerOf(socket)
    this.#open.set(peer, socket)
    socket.once('close', () => this.#open.delete(peer))
  }
}

function peerOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`
}
