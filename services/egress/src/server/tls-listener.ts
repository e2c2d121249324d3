import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls'
import type { Certificate } from '@ipfleet/core/certificate-files.ts'
import { Handshakes } from '@ipfleet/http-server/handshakes.ts'
import { Opening } from './opening.ts'

/** The type of the first record of TLS (RFC 8446 §5.1): handshake. */
const handshakeType = 22

/**
 * Takes connections with TLS and gives them on when they are secure. Whatever name a client expects, it gets the one
 * certificate. Of protocols (ALPN) only HTTP/1.1 is taken: some clients that offer HTTP/2 cannot speak it to a proxy (Go).
 */
export class TlsListener {
  readonly server: Server = createServer({ noDelay: true })
  readonly handshakes: Handshakes
  readonly #tls: TlsServer
  readonly #timeoutMs: number

  /** @param timeoutMs until the first byte, and then for the handshake */
  constructor(certificate: Certificate, timeoutMs: number, onSecure: (socket: Socket) => void) {
    this.#timeoutMs = timeoutMs
    this.#tls = createTlsServer({ ...certificate, ALPNProtocols: ['http/1.1'], handshakeTimeout: timeoutMs })
    this.#tls.on('secureConnection', (socket) => {
      // For what may become a tunnel. A client that closes a half in the handshake has left.
      socket.allowHalfOpen = true
      onSecure(socket)
    })
    // A client that takes too long over the handshake is only told of by Node 26.
    this.#tls.on('tlsClientError', (_error, socket) => socket.destroy())
    this.handshakes = new Handshakes(this.server, this.#tls)
  }

  /** To be called when the limits of connections are in place: what they close is not read. */
  serve(): void {
    this.server.on('connection', (socket: Socket) => void this.#open(socket))
  }

  renew(certificate: Certificate): void {
    this.#tls.setSecureContext(certificate)
  }

  /** Clients that know no TLS are not left waiting: OpenSSL would wait for the rest of a record. */
  async #open(socket: Socket): Promise<void> {
    const opening = new Opening(socket, this.#timeoutMs)
    const first = await firstByte(opening)
    const bytes = opening.release()
    if (first === handshakeType) {
      socket.unshift(bytes)
      this.#tls.emit('connection', socket)
    } else socket.destroy()
  }
}

/** Undefined if none comes. */
async function firstByte(opening: Opening): Promise<number | undefined> {
  try {
    return await opening.until(([byte]) => byte, 1)
  } catch {
    return undefined
  }
}
