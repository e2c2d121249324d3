import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect as connectTls, type ConnectionOptions } from 'node:tls'
import type { UpstreamTarget } from './exchange-types.ts'

/** Begins to connect. The event `connect`, or `secureConnect` with TLS, says that it has. It tells what comes by `data`. */
export function openSocket({ address, port, tls }: UpstreamTarget): Socket {
  const options = { host: address, port, allowHalfOpen: true }
  if (tls === undefined) return openTcp(options).setNoDelay(true)
  return connectTls({ ...options, ...identityOf(tls.servername), ALPNProtocols: ['http/1.1'] }).setNoDelay(true)
}

/** All sockets read into it, one at a time. */
const readBuffer = Buffer.allocUnsafeSlow(65_536)

/** Left to itself, Node 26 allocates 64 KiB for each read, and copies from there what has come. */
function openTcp(options: { readonly host: string; readonly port: number; readonly allowHalfOpen: boolean }): Socket {
  const callback = (length: number): boolean => {
    const bytes = Buffer.allocUnsafe(length)
    readBuffer.copy(bytes, 0, 0, length)
    return socket.emit('data', bytes)
  }
  const socket: Socket = connectTcp({ ...options, onread: { buffer: readBuffer, callback } })
  return socket
}

/** An address is no name to ask for (RFC 6066 §3), and Node throws for it; the certificate must be for it all the same. */
function identityOf(servername: string): ConnectionOptions {
  if (isIP(servername) === 0) return { servername }
  return {
    servername: '',
    checkServerIdentity: (_host, certificate) => checkServerIdentity(servername, certificate),
  }
}
