import { once } from 'node:events'
import type { Socket } from 'node:net'
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type OutgoingHttpHeaders } from 'node:http2'
import { text } from 'node:stream/consumers'

export interface H2Reply {
  readonly status: number
  /** As they came. */
  readonly fields: readonly (readonly [name: string, value: string])[]
  readonly body: string
  readonly trailers: readonly (readonly [name: string, value: string])[]
  /** Interim answers: their status and Link. */
  readonly interims: readonly (readonly [status: unknown, link: unknown])[]
}

/** A session of HTTP/2 with a port of 127.0.0.1, for whose certificate `ca` vouches; over `socket` if there is one. */
export async function h2Session(port: number, ca: string, socket?: Socket): Promise<ClientHttp2Session> {
  const session = connect(`https://127.0.0.1:${port}`, { ca, ...(socket && { createConnection: () => socket }) })
  // A test that cares listens itself.
  session.on('error', () => {})
  await once(session, 'remoteSettings')
  return session
}

/** The whole answer on a stream. Rejects when the stream is reset, or ends early. */
export async function h2Reply(stream: ClientHttp2Stream): Promise<H2Reply> {
  const interims: [unknown, unknown][] = []
  let trailers: [string, string][] = []
  stream.on('headers', (fields) => interims.push([fields[':status'], fields['link']]))
  stream.on('trailers', (_fields, _flags, raw) => (trailers = pairsOf(raw)))
  const [{ ':status': status }, , raw] = await once(stream, 'response')
  const body = await text(stream)
  return { status, fields: pairsOf(raw), body, trailers, interims }
}

function pairsOf(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, index) => [raw[2 * index] ?? '', raw[2 * index + 1] ?? ''])
}

/** One request with its answer. */
export function h2Ask(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body?: string): Promise<H2Reply> {
  const stream = session.request(headers, { endStream: body === undefined })
  if (body !== undefined) stream.end(body)
  return h2Reply(stream)
}
