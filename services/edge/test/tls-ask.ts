import { once } from 'node:events'
import { type IncomingHttpHeaders } from 'node:http'
import { request, type RequestOptions } from 'node:https'
import { text } from 'node:stream/consumers'
import { connect, type ConnectionOptions } from 'node:tls'

/** One request of HTTP/1.1 over TLS, on a connection of its own, to 127.0.0.1. */
export async function tlsAsk(port: number, options: RequestOptions & { readonly body?: string }) {
  const req = request({ host: '127.0.0.1', port, agent: false, ...options }).end(options.body)
  const [res] = await once(req, 'response')
  return { status: Number(res.statusCode), headers: res.headers as IncomingHttpHeaders, body: await text(res) }
}

export interface Handshake {
  readonly subject: string
  readonly alpn: string | false | null
  readonly version: string | null
}

/** What a handshake with 127.0.0.1 agrees on. Rejects when it fails. */
export async function tlsHandshake(port: number, options: ConnectionOptions): Promise<Handshake> {
  const socket = connect({ host: '127.0.0.1', port, ...options })
  await once(socket, 'secureConnect')
  const subject = String(socket.getPeerCertificate().subject.CN)
  const { alpnProtocol: alpn } = socket
  const version = socket.getProtocol()
  socket.destroy()
  return { subject, alpn, version }
}

/** A session that 127.0.0.1 gives for later handshakes. */
export async function tlsSession(port: number, options: ConnectionOptions): Promise<Buffer> {
  const socket = connect({ host: '127.0.0.1', port, ...options })
  const [session] = await once(socket, 'session')
  socket.destroy()
  return session
}

/** Whether a handshake takes up the session that it offers. */
export async function isResumed(port: number, options: ConnectionOptions & { session: Buffer }): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port, ...options })
  await once(socket, 'secureConnect')
  const reused = socket.isSessionReused()
  socket.destroy()
  return reused
}
