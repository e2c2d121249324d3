import type { IncomingMessage } from 'node:http'

/** `ipinfo.io` with `www.` and `v6.`, and `api.ipinfo.io` with `v4.` and `v6.`. */
export type FakeHost = 'ipinfo.io' | 'api.ipinfo.io'

/** Stands in front of every path of api.ipinfo.io where the Host is that of a machine: one port serves both. */
export const apiPrefix = '/api.ipinfo.io'

/** A request as the surfaces see it. */
export interface FakeRequest {
  readonly method: string
  readonly host: FakeHost
  /** As it came, query included; without the prefix that stands for the host. */
  readonly target: string
  /** The path without query, cut at slashes, decoded; empty ones are left out. Undefined: it cannot be decoded. */
  readonly segments: readonly string[] | undefined
  readonly query: URLSearchParams
  readonly token: string | undefined
  /** Empty but for POST. */
  readonly body: string
  /** The caller's address, as the socket has it. */
  readonly from: string
  /** Whether this asks for the website rather than for the API. */
  readonly wantsHtml: boolean
}

const noQuery = new URLSearchParams()

/** Reads all but the body. */
export function readRequest(req: IncomingMessage, body: string): FakeRequest {
  const { host, target } = placeOf(req)
  const end = target.indexOf('?')
  const query = end === -1 ? noQuery : new URLSearchParams(target.slice(end + 1))
  const { authorization, accept = '', 'user-agent': agent = '' } = req.headers
  const from = req.socket.remoteAddress ?? '127.0.0.1'
  return {
    method: req.method ?? 'GET',
    host,
    target,
    segments: segmentsOf(end === -1 ? target : target.slice(0, end)),
    query,
    token: tokenOf(authorization) ?? (query.get('token') || undefined),
    body,
    from: from.startsWith('::ffff:') ? from.slice('::ffff:'.length) : from,
    wantsHtml: agent.startsWith('Mozilla/') && !accept.includes('application/json'),
  }
}

function placeOf({ url = '/', headers }: IncomingMessage): Pick<FakeRequest, 'host' | 'target'> {
  if (url.startsWith(`${apiPrefix}/`)) return { host: 'api.ipinfo.io', target: url.slice(apiPrefix.length) }
  return {
    host: /^(v[46]\.)?api\.ipinfo\.io(:|$)/i.test(headers.host ?? '') ? 'api.ipinfo.io' : 'ipinfo.io',
    target: url,
  }
}

/** The body as text; undefined when it is over the limit. */
export async function readBody(req: IncomingMessage, maxBytes: number): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of req as AsyncIterable<Buffer>) {
    bytes += chunk.length
    // Read to the end all the same: leaving early would end the connection before it has its answer.
    if (bytes <= maxBytes) chunks.push(chunk)
  }
  return bytes > maxBytes ? undefined : Buffer.concat(chunks).toString()
}

/** Bearer, or Basic with the token as user name; an empty one, as some SDKs send, is none. */
function tokenOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined) return undefined
  const [scheme = '', credentials = ''] = authorization.trim().split(/\s+/)
  if (scheme.toLowerCase() === 'bearer') return credentials || undefined
  if (scheme.toLowerCase() !== 'basic') return undefined
  const [user] = Buffer.from(credentials, 'base64').toString().split(':')
  return user || undefined
}

function segmentsOf(path: string): string[] | undefined {
  const segments = path.split('/').filter(Boolean)
  if (!path.includes('%')) return segments
  try {
    return segments.map(decodeURIComponent)
  } catch {
    return undefined
  }
}
