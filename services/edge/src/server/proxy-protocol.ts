import type { Server, Socket } from 'node:net'
import { addressBlocks } from '@ipfleet/net/address-blocks.ts'
import { plainAddress } from '@ipfleet/net/client-address.ts'
import type { ServerConfig } from '../config/edge-config.ts'
import { type ProxiedPeer, readProxyHeader } from './proxy-header.ts'

type ProxyProtocolConfig = Pick<ServerConfig, 'proxyProtocol' | 'headerTimeoutMs'>

/** Why a connection is not taken: what came is no header, or not all of one came in time. */
export type MissingHeader = 'malformed' | 'late'

/**
 * Reads the PROXY header of connections from listed proxies before anything else learns of the connection, and has the
 * connection then say that it is from whom the header names. Limits, access lists, TRUST_PROXY, TLS and HTTP thus see
 * the client.
 */
export class ProxyProtocol {
  readonly #onMissing: (socket: Socket, why: MissingHeader) => void
  #isProxy: (address: string) => boolean
  #headerTimeoutMs: number
  readonly #waiting = new Set<Socket>()
  /** Whom headers have named, by the connection that TCP sees, which is all that TLS knows of the one below it. */
  readonly #named = new Map<string, ProxiedPeer>()

  /** @param onMissing has to refuse the connection */
  constructor(config: ProxyProtocolConfig, onMissing: (socket: Socket, why: MissingHeader) => void) {
    this.#onMissing = onMissing
    this.#isProxy = addressBlocks(config.proxyProtocol)
    this.#headerTimeoutMs = config.headerTimeoutMs
  }

  /** For connections to come. */
  configure({ proxyProtocol, headerTimeoutMs }: ProxyProtocolConfig): void {
    this.#isProxy = addressBlocks(proxyProtocol)
    this.#headerTimeoutMs = headerTimeoutMs
  }

  /** Stands before all that listens for connections of this server by now. */
  standBefore(server: Server): this {
    const listeners = server.listeners('connection')
    server.removeAllListeners('connection')
    const pass = (socket: Socket): void => {
      for (const listener of listeners) listener.call(server, socket)
    }
    server.on('connection', (socket: Socket) => {
      if (this.#isProxy(plainAddress(socket.remoteAddress))) this.#await(socket, pass)
      else pass(socket)
    })
    return this
  }

  /** For a connection of TLS: it is from whom the one below it is. */
  carryOver(socket: Socket): void {
    const peer = this.#named.get(keyOf(socket))
    if (peer) isFrom(socket, peer)
  }

  /** Connections whose header has not come yet. */
  destroyWaiting(): void {
    for (const socket of this.#waiting) socket.destroy()
  }

  #await(socket: Socket, pass: (socket: Socket) => void): void {
    let bytes: Buffer = Buffer.alloc(0)
    // What came while this process stood still is read before a header is late.
    const late = (): void => void (this.#waiting.has(socket) && settle('late'))
    const timer = setTimeout(() => setImmediate(late), this.#headerTimeoutMs).unref()
    const gone = (): void => {
      clearTimeout(timer)
      this.#waiting.delete(socket)
    }
    const left = (): void => void socket.destroy()
    const read = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk])
      const header = readProxyHeader(bytes)
      if (header.kind === 'malformed') settle('malformed')
      else if (header.kind === 'whole') {
        if (header.peer) this.#name(socket, header.peer)
        settle(bytes.subarray(header.length))
      }
    }
    const settle = (rest: Buffer | MissingHeader): void => {
      gone()
      socket.off('data', read).off('close', gone).off('end', left).pause()
      if (typeof rest === 'string') {
        this.#onMissing(socket, rest)
        return
      }
      socket.off('error', left)
      if (rest.length > 0) socket.unshift(rest)
      pass(socket)
      // TLS reads from below the stream, and takes what is left in it by itself: flowing, it would lose that.
      if (socket.listenerCount('data') > 0) socket.resume()
    }
    this.#waiting.add(socket)
    socket.on('data', read).on('close', gone).on('end', left).on('error', left)
  }

  #name(socket: Socket, peer: ProxiedPeer): void {
    const key = keyOf(socket)
    this.#named.set(key, peer)
    socket.once('close', () => this.#named.delete(key))
    isFrom(socket, peer)
  }
}

function keyOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`
}

function isFrom(socket: Socket, { address, port }: ProxiedPeer): void {
  Object.defineProperties(socket, {
    remoteAddress: { value: address },
    remotePort: { value: port },
    remoteFamily: { value: address.includes(':') ? 'IPv6' : 'IPv4' },
  })
}
