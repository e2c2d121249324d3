import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect as connectTls, type ConnectionOptions } from 'node:tls'
import type { UpstreamTarget } from './exchange-types.ts'

/** Begins to connect. The event `connect`, or `secureConnect` with TLS, says that it has. */
export function openSocket({ address, port, tls }: UpstreamTarget): Socket {
  const options = { host: address, port, allowHalfOpen: true }
  const socket =
    tls === undefined
      ? connectTcp(options)
      : connectTls({ ...options, ...identityOf(tls.servername), ALPNProtocols: ['http/1.1'] })
  return socket.setNoDelay(true)
}

/** An address is no name to ask for (RFC 6066 §3), and Node throws for it; the certificate must be for it all the same. */
function identityOf(servername: string): ConnectionOptions {
  if (isIP(servername) === 0) return { servername }
  return {
    servername: '',
    checkServerIdentity: (_host, certificate) => checkServerIdentity(servername, certificate),
  }
}
