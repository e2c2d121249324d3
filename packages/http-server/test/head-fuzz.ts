import { createServer, type IncomingMessage } from 'node:http'
import { Duplex } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { HeadReader, type ReadFields, type ReadHead } from '../src/fast-lane/request-head.ts'
import { httpServerOptions } from '../src/harden-server.ts'
import { type RequestFault, requestGuard } from '../src/request-guard.ts'
import { randomOf, type Random } from './random.ts'

export interface HeadFuzzResult {
  /** Heads that the lane reads. Each was read alike by node:http, or is in `differences`. */
  readonly read: number
  readonly differences: readonly string[]
}

/**
 * Mutates heads and gives those that the lane reads to node:http as well. In blocks, so that what node:http takes for a
 * part of the request before is seen too.
 */
export async function fuzzHeads(count: number, seed: number): Promise<HeadFuzzResult> {
  const random = randomOf(seed)
  // What the edge reads is more than what lookup reads.
  const heads = new HeadReader({ takesHead: true, takesRawTargets: true })
  const differences: string[] = []
  let read = 0
  let last: ReadFields | undefined
  for (let made = 0; made < count;) {
    const block: { text: string; head: ReadHead }[] = []
    for (; made < count && block.length < 100; made += 1) {
      const text = mutated(random)
      // As on a connection whose last request this head follows.
      const head = heads.read(text, 0, last)
      last = head?.fields ?? last
      // The rest would be read, or handed over, as a request of its own.
      if (head) block.push({ text: text.slice(0, head.end).replace(head.url, plain(head.url)), head })
    }
    read += block.length
    const seen = await readByHttp(block.map(({ text }) => text).join(''))
    const same = seen.length === block.length && block.every(({ head }, index) => isSame(head, seen[index]))
    if (!same) differences.push(...(await differencesIn(block)))
  }
  return { read, differences }
}

/** Each head of a block alone. */
async function differencesIn(block: readonly { text: string; head: ReadHead }[]): Promise<string[]> {
  const differences: string[] = []
  for (const { text, head } of block) {
    const [first, ...more] = await readByHttp(text)
    if (!isSame(head, first) || more.length > 0) differences.push(JSON.stringify({ text, lane: head, http: first }))
  }
  return differences.length > 0 ? differences : ['the block as a whole']
}

interface SeenRequest {
  readonly line: string
  readonly headers: IncomingMessage['headers']
  readonly rawHeaders: readonly string[]
  readonly isWhole: boolean
  readonly staysOpen: boolean
  readonly fault: RequestFault | undefined
}

/** Without the bytes that only the lane takes. */
function plain(target: string): string {
  return target.replaceAll(/[\x80-\xff]/g, 'x')
}

function isSame({ method, url, fields: { headers, rawHeaders } }: ReadHead, seen: SeenRequest | undefined): boolean {
  if (seen?.line !== `${method} ${plain(url)} 1.1` || !seen.isWhole || !seen.staysOpen) return false
  const names = Object.keys(headers)
  return (
    seen.fault === undefined &&
    rawHeaders.join('\n') === seen.rawHeaders.join('\n') &&
    names.length === Object.keys(seen.headers).length &&
    names.every((name) => headers[name] === seen.headers[name])
  )
}

const faultOf = requestGuard()
let seenNow: SeenRequest[] = []
const server = createServer(httpServerOptions(), (req, res) => {
  // What is whole by now has no body.
  const { headers, rawHeaders } = req
  const one = { line: `${req.method} ${req.url} ${req.httpVersion}`, headers, rawHeaders, isWhole: false }
  const seen = { ...one, staysOpen: res.shouldKeepAlive, fault: faultOf(req) }
  seenNow.push(seen)
  req
    .once('end', () => (seen.isWhole = true))
    .once('data', () => (seen.staysOpen = false))
    .resume()
  res.end()
})
// A refusal shows as a request that is missing.
server.on('clientError', (_error, socket) => socket.destroy())

/** All that node:http makes of these bytes on one connection, which has no network under it. */
async function readByHttp(text: string): Promise<SeenRequest[]> {
  seenNow = []
  const connection = new Duplex({ read() {}, write: (_chunk, _encoding, written) => written() })
  connection.on('error', () => {})
  server.emit('connection', connection)
  connection.push(Buffer.from(text, 'latin1'))
  // Events of the requests' bodies come with the ticks of this turn.
  await nextTurn()
  await nextTurn()
  connection.destroy()
  return seenNow
}

const seeds = [
  ['GET /8.8.8.8 HTTP/1.1', 'Host: localhost:8080', 'User-Agent: curl/8.5.0', 'Accept: */*'],
  [
    'GET /8.8.8.8/json?token=abcdef HTTP/1.1',
    'Host: ipinfo.io',
    'User-Agent: IPinfoClient/Python/5.1.1',
    'Accept: application/json',
    'Accept-Encoding: gzip, deflate',
    'Connection: keep-alive',
  ],
  [
    'GET /2001:db8::1/city HTTP/1.1',
    'host: [::1]:8080',
    'authorization: Bearer abc',
    'x-request-id: 1-2_3',
    'if-none-match: "a", W/"b"',
    'x-forwarded-for: 192.0.2.1',
  ],
  [
    'GET / HTTP/1.1',
    'Host: a',
    'Cookie: a=b; c=d',
    'Sec-Fetch-Mode: cors',
    'Priority: u=1',
    'Cache-Control: max-age=0',
  ],
  ['HEAD /caf\xe9 HTTP/1.1', 'Host: a:80', 'User-Agent: probe'],
].map((lines) => [...lines, '', ''].join('\r\n'))

const pieces = [
  '\r', '\n', '\r\n', '\r\n\r\n', '\n\n', '\0', '\t', ' ', '  ', ':', ': ', ',', ';', '#', '%', '\x7f', '\x80', '\xff', '\v', '\f',
  '/', '//', '?', '\\', '"', '<', '>', '{', '|', '}', '^', '`', '@', '*', '..', 'HTTP/1.1', ' HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0',
  'GET ', 'POST ', 'HEAD ', 'PRI * HTTP/2.0', 'http://a/', 'Host: b\r\n', 'Host:\r\n', 'Host : a\r\n', 'Content-Length: 5\r\n',
  'Content-Length: 0\r\n', 'content-length:\r\n', 'Transfer-Encoding: chunked\r\n', 'Transfer-Encoding: identity\r\n', 'TE: trailers\r\n',
  'Expect: 100-continue\r\n', 'Upgrade: h2c\r\n', 'Connection: close\r\n', 'Connection: upgrade\r\n', 'Connection: keep-alive\r\n',
  'Proxy-Connection: close\r\n', 'Keep-Alive: timeout=1\r\n', 'Trailer: a\r\n', ' folded\r\n', '\tfolded\r\n', 'A: b\r\n', 'A:b\r\n', 'A: \r\n',
  'A:  b\r\n', 'A: b \r\n', 'A\r\n', ': a\r\n', '__proto__: a\r\n', 'constructor: a\r\n', 'Set-Cookie: a\r\n', 'Cookie: b\r\n',
] // prettier-ignore

/** A head of a client, more or less damaged. */
export function mutated(random: Random): string {
  let text = random.pick(seeds)
  for (let left = random.below(4); left > 0; left -= 1) text = mutatedOnce(text, random)
  return text
}

function mutatedOnce(text: string, random: Random): string {
  const at = random.below(text.length + 1)
  const lineAt = text.indexOf('\r\n', at) + 2
  switch (random.below(8)) {
    case 0:
      return text.slice(0, at) + random.pick(pieces) + text.slice(at)
    case 1:
      return text.slice(0, lineAt) + random.pick(pieces) + text.slice(lineAt)
    case 2:
      return text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + 1)
    case 3:
      return text.slice(0, at) + text.slice(at + 1 + random.below(8))
    case 4:
      return text.slice(0, lineAt) + text.slice(text.indexOf('\r\n', lineAt) + 2)
    case 5: {
      const end = at + random.below(40)
      return text.slice(0, end) + text.slice(at, end) + text.slice(end)
    }
    case 6:
      return text.slice(0, at) + text.charAt(at).toUpperCase() + text.slice(at + 1)
    default:
      return text.slice(0, at) + random.pick(seeds).slice(random.below(60))
  }
}
