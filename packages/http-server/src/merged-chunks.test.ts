import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect as connectH2, createServer as createH2 } from 'node:http2'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { hardenServer, httpServerOptions } from './harden-server.ts'
import { inTurn } from './in-turn.ts'
import { listen } from './listen.ts'
import { MergedFramesRequest } from './merged-frames.ts'
import { readTurns } from './read-turns.ts'

let port = 0
let bytesSeen = 0
let wake = (): void => {}
// A busy machine may let connections rest for longer than the time that they have by default.
const server = createServer(
  httpServerOptions({ headersTimeoutMs: 60_000, requestTimeoutMs: 60_000 }),
  inTurn((req, res) => void serve(req, res).catch(() => res.destroy())),
)
hardenServer(server)
beforeAll(async () => {
  port = await listen(server, { port: 0, host: '127.0.0.1' })
})
afterAll(async () => {
  server.close()
  server.closeAllConnections()
  await once(server, 'close')
})

/** Says what has come: its hash, in how many pieces, and its trailers. `/slowly` reads it piece by piece. */
async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const hash = createHash('sha1')
  let pieces = 0
  for await (const piece of req as AsyncIterable<Buffer>) {
    pieces += 1
    bytesSeen += piece.length
    hash.update(piece)
    wake()
    if (req.url === '/slowly') await nextTurn()
  }
  const [, trailer = 'none'] = req.rawTrailers
  res.end(`${hash.digest('hex')} ${pieces} ${trailer}\n`)
}

function chunked(target: string, chunks: readonly string[], trailer = 'X-Sum: 1\r\n'): string {
  const body = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('')
  const head = [`POST ${target} HTTP/1.1`, 'Host: a', 'Connection: close', 'Transfer-Encoding: chunked', '', '']
  return `${head.join('\r\n')}${body}0\r\n${trailer}\r\n`
}

function send(bytes: string, localAddress = '127.0.0.1'): Socket {
  const socket = connect({ port, host: '127.0.0.1', localAddress })
  socket.write(bytes)
  return socket
}

const digits = (count: number): string[] => Array.from({ length: count }, (_, index) => String(index % 10))
const sizes = [1, 5000, 1, 1, 1023, 1024, 16_384, 3, 15_000, 1000, 1000, 70_000, 2]
const mixed = sizes.map((size, index) => String(index % 10).repeat(size))

describe('a body', () => {
  test.each([
    ['of 30,000 chunks of one byte', '/', digits(30_000), 1000],
    ['of them that is read slowly', '/slowly', digits(30_000), 1000],
    // A large one is a piece of each read of its socket.
    ['of small and large chunks', '/', mixed, mixed.length + 20],
    ['of them that is read slowly', '/slowly', mixed, mixed.length + 20],
    ['of one small chunk', '/', ['8.8.8.8'], 1],
  ])('%s arrives whole and in order, with its trailers, in few pieces', async (_what, target, chunks, maxPieces) => {
    const answer = await text(send(chunked(target, chunks)))
    const [, hash, pieces, trailer] = /\r\n\r\n(?:\w+\r\n)?(\w+) (\d+) (.*)/.exec(answer) ?? []
    expect([hash, trailer]).toEqual([createHash('sha1').update(chunks.join('')).digest('hex'), '1'])
    expect(Number(pieces)).toBeLessThanOrEqual(maxPieces)
  })
})

test('a client that sends tiny chunks on many connections leaves the others their time', async () => {
  bytesSeen = 0
  const begun = new Promise<void>((resolve) => {
    wake = () => bytesSeen > 0 && resolve()
  })
  const other = send('', '127.0.0.2')
  await once(other, 'connect')
  const [connections, bytes] = [12, 20_000]
  const flood = chunked('/', digits(bytes))
  const floods = Array.from({ length: connections }, () => text(send(flood)))
  await begun
  other.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  expect(await text(other)).toContain(' 200 ')
  // They take turns, and between any two the others are served.
  expect(bytesSeen).toBeLessThan((connections * bytes) / 2)
  const statuses = (await Promise.all(floods)).map((answer) => answer.split(' ', 2)[1])
  expect(statuses).toEqual(Array.from({ length: connections }, () => '200'))
})

test('a client of HTTP/2 that sends tiny frames on many connections leaves the others their time', async () => {
  const frames = 20_000
  let seen = 0
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
  const { promise: manyRead, resolve: end } = Promise.withResolvers<void>()
  const h2 = createH2({ Http2ServerRequest: MergedFramesRequest }, (req, res) => {
    if (req.method === 'GET') res.end('served')
    req.on('data', (piece: Buffer) => {
      seen += piece.length
      begin()
      if (seen > 10_000) end()
    })
  })
  h2.on('session', (session) => readTurns.addSession(session))
  await once(h2.listen(0, '127.0.0.1'), 'listening')
  const at = (localAddress: string) =>
    connect({ port: (h2.address() as AddressInfo).port, host: '127.0.0.1', localAddress })
  const other = connectH2('http://a', { createConnection: () => at('127.0.0.2') })
  await once(other, 'connect')
  const floods = Array.from({ length: 8 }, () => at('127.0.0.1'))
  try {
    for (const flood of floods) flood.write(tinyFrames(frames))
    await begun
    expect(await text(other.request({ ':path': '/' }))).toBe('served')
    // They take turns, and between any two the others are served.
    expect(seen).toBeLessThan((8 * frames) / 4)
    await manyRead
  } finally {
    for (const connection of [other, ...floods]) connection.destroy()
    h2.close()
  }
})

/** RFC 9113 §3.4, §6: what a client begins with, and a POST whose body comes in frames of one byte. */
function tinyFrames(count: number): Buffer {
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])
  // By RFC 7541: `:method: POST`, `:scheme: http`, `:path: /`, `:authority: a`.
  const fields = Buffer.from([0x83, 0x86, 0x84, 0x01, 1, 0x61])
  const head = Buffer.from([0, 0, fields.length, 1, 4, 0, 0, 0, 1])
  const body = Buffer.alloc(count * 10, Buffer.from([0, 0, 1, 0, 0, 0, 0, 0, 1, 0x78]))
  return Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), settings, head, fields, body])
}

test.each([
  ['of 5,000 frames of one byte', digits(5000), 1000],
  ['of small and large frames', mixed, mixed.length + 20],
])('a body of HTTP/2 %s arrives whole and in order, in few pieces', async (_what, chunks, maxPieces) => {
  const h2 = createH2({ Http2ServerRequest: MergedFramesRequest }, (req, res) => {
    void serve(req as unknown as IncomingMessage, res as unknown as ServerResponse)
  })
  await once(h2.listen(0, '127.0.0.1'), 'listening')
  const session = connectH2(`http://127.0.0.1:${(h2.address() as AddressInfo).port}`)
  try {
    const stream = session.request({ ':method': 'POST', ':path': '/' })
    for (const chunk of chunks) stream.write(chunk)
    stream.end()
    const [hash, pieces] = (await text(stream)).split(' ')
    expect(hash).toBe(createHash('sha1').update(chunks.join('')).digest('hex'))
    expect(Number(pieces)).toBeLessThanOrEqual(maxPieces)
  } finally {
    session.destroy()
    h2.close()
  }
})
