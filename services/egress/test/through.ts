import { once } from 'node:events'
import { type Agent, request, type RequestOptions } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { Wire } from '@ipfleet/testing/wire.ts'

export interface ThroughOptions {
  /** `name:password` for the proxy. */
  readonly user?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  /** The client's own address. */
  readonly from?: string
}

export interface Reply {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
}

/** The end of a connection on which a CONNECT was answered. */
export interface TunnelReply extends Reply {
  readonly wire: Wire
}

/** Asks the proxy on this port of 127.0.0.1 for a URL, with GET. Without an agent, on a connection of its own. */
export async function askThrough(
  port: number,
  url: string,
  { user, headers = {}, from, agent }: ThroughOptions & { readonly agent?: Agent } = {},
): Promise<Reply> {
  const local = from === undefined ? {} : { localAddress: from }
  const fields = { ...credentials(user), ...headers }
  const options: RequestOptions = { host: '127.0.0.1', port, path: url, agent: agent ?? false, ...local }
  const req = request({ ...options, headers: { Host: new URL(url).host, ...fields } }).end()
  const [res] = await once(req, 'response')
  return { status: res.statusCode, headers: res.headers, body: await text(res) }
}

/** Asks the proxy for a tunnel. When it stands, nothing has been sent through it; it is the caller's. */
export async function tunnelThrough(
  port: number,
  authority: string,
  { user, headers = {}, from }: ThroughOptions = {},
): Promise<TunnelReply> {
  const local = from === undefined ? {} : { localAddress: from }
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true, ...local })
  await once(socket, 'connect')
  const wire = new Wire(socket)
  const lines = Object.entries({ Host: authority, ...credentials(user), ...headers })
  wire.write(`CONNECT ${authority} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`)
  const { status } = replyIn(await wire.saw('\r\n\r\n'))
  // After a 407 the client may ask again.
  if (status === 407) await wire.saw(/}\s*$/)
  else if (status !== 200) await wire.ended
  if (status !== 200) wire.destroy()
  return { ...replyIn(wire.text), wire }
}

/** One GET inside a tunnel, after which the origin closes it. */
export async function askInTunnel({ wire, body }: TunnelReply, host: string): Promise<Reply> {
  const start = wire.text.length - body.length
  wire.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  await wire.ended
  wire.destroy()
  return replyIn(wire.text.slice(start))
}

/** An answer as it came, whose body is all the rest. */
export function replyIn(bytes: string): Reply {
  const headEnd = bytes.indexOf('\r\n\r\n')
  const [line = '', ...fields] = bytes.slice(0, headEnd).split('\r\n')
  const headers = fields.map((field) => {
    const colon = field.indexOf(':')
    return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()] as const
  })
  return {
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(line)?.[1]),
    headers: Object.fromEntries(headers),
    body: bytes.slice(headEnd + 4),
  }
}

function credentials(user: string | undefined): Record<string, string> {
  return user === undefined ? {} : { 'Proxy-Authorization': `Basic ${Buffer.from(user).toString('base64')}` }
}
