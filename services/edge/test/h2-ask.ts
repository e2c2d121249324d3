import { once } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type OutgoingHttpHeaders } from 'node:http2'
import { text } from 'node:stream/consumers'

export interface H2Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
  readonly trailers: Readonly<Record<string, unknown>>
  /** Interim answers: their status and Link. */
  readonly interims: readonly (readonly [status: unknown, link: unknown])[]
}

/** A session of HTTP/2 with a port of 127.0.0.1, for whose certificate `ca` vouches. */
export async function h2Session(port: number, ca: string): Promise<ClientHttp2Session> {
  const session = connect(`https://127.0.0.1:${port}`, { ca, strictSingleValueFields: false })
  // A test that cares listens itself.
  session.on('error', () => {})
  await once(session, 'remoteSettings')
  return session
}

/** The whole answer on a stream. Rejects when the stream is reset, or ends early. */
export async function h2Reply(stream: ClientHttp2Stream): Promise<H2Reply> {
  const interims: [unknown, unknown][] = []
  let trailers = {}
  stream.on('headers', (fields) => interims.push([fields[':status'], fields['link']]))
  stream.on('trailers', (fields) => (trailers = fields))
  const [{ ':status': status, ...headers }] = await once(stream, 'response')
  const body = await text(stream)
  return { status, headers, body, trailers, interims }
}

/** One request with its answer. */
export function h2Ask(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body?: string): Promise<H2Reply> {
  const stream = session.request(headers, { endStream: body === undefined })
  if (body !== undefined) stream.end(body)
  return h2Reply(stream)
}
