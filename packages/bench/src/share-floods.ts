import { gzipSync } from 'node:zlib'
import { floodSockets, type SocketFlood } from './share-flood-sockets.ts'
import { FrameMaker, preface } from './share-flood-frames.ts'

/** What is flooded. Another client asks the same server meanwhile. */
export const floodedServers = ['edge', 'edge over TLS', 'lookup', 'bulk'] as const
export type FloodedServer = (typeof floodedServers)[number]

export interface Flood {
  readonly server: FloodedServer
  /** Resolves when the flood is on. It ends with its process. */
  readonly begin: (port: number) => Promise<void>
}

const head = (line: string, ...fields: readonly string[]): string =>
  [`${line} HTTP/1.1`, 'Host: a', ...fields, '', ''].join('\r\n')
const manyFields = Array.from({ length: 40 }, (_, index) => `X-Field-${index}: ${'v'.repeat(90)}`)
const post = (path: string, body: string | Buffer, ...fields: readonly string[]): Buffer =>
  Buffer.concat([
    Buffer.from(head(`POST ${path}`, `Content-Length: ${Buffer.byteLength(body)}`, ...fields)),
    Buffer.from(body),
  ])

const bySockets = (server: FloodedServer, flood: SocketFlood): Flood => ({
  server,
  begin: (port) => floodSockets(port, flood),
})

/** So many connections, each with frames of its own. */
function byFrames(connections: number, flood: (frames: FrameMaker) => Omit<SocketFlood, 'connections'>): Flood {
  const begin = async (port: number): Promise<void> => {
    const each = Array.from({ length: connections }, () => {
      const { bytes, ...rest } = flood(new FrameMaker())
      const first = Buffer.concat([preface, Buffer.from(bytes)])
      return floodSockets(port, { ...rest, connections: 1, overTls: true, bytes: first })
    })
    await Promise.all(each)
  }
  return { server: 'edge over TLS', begin }
}

let asked = 0
/** One that was not asked for before. */
function freshAddress(): string {
  asked += 1
  return `${20 + ((asked >> 16) & 63)}.${(asked >> 8) & 255}.${asked & 255}.7`
}

const thousand = JSON.stringify(Array.from({ length: 1000 }, (_, at) => `30.0.${at >> 8}.${at & 255}`))
/** Of which a tenth is sent. */
const bomb = gzipSync(Buffer.alloc(10_000_000, '8.8.8.8\n'))
/** A megabyte, of 100 members, that inflates to a gigabyte of blanks. */
const blanks = Buffer.concat(Array<Buffer>(100).fill(gzipSync(Buffer.alloc(10_000_000, ' '))))
/** The first half of a ClientHello (RFC 8446 §4.1.2). */
const halfHello = Buffer.concat([Buffer.from('160301020001', 'hex'), Buffer.alloc(200)])

/** What one client may try, by name. */
export const floods: Readonly<Record<string, Flood>> = {
  'unfinished bodies': bySockets('edge', { connections: 300, bytes: `${head('POST /', 'Content-Length: 1000')}x` }),
  'large unfinished bodies': bySockets('edge', {
    connections: 300,
    bytes: head('POST /', 'Content-Length: 1000000') + 'x'.repeat(100_000),
  }),
  followers: bySockets('edge', { connections: 300, bytes: head('GET /events') }),
  'pipelined requests': bySockets('edge', { connections: 10, bytes: head('GET /').repeat(100) }),
  'requests sent far ahead': bySockets('edge', { connections: 50, bytes: head('GET /').repeat(2000) }),
  'requests with 4 KB of fields': bySockets('edge', {
    connections: 100,
    bytes: head('GET /', ...manyFields),
    again: 'when answered',
  }),
  'HTTP/2 unfinished bodies': byFrames(3, (frames) => ({ bytes: frames.unfinished(100) })),
  'HTTP/2 requests taken back': byFrames(10, (frames) => ({
    bytes: frames.taken(20),
    again: 'at once',
    next: () => frames.taken(20),
  })),
  'HTTP/2 bodies in frames of 1 byte': byFrames(10, (frames) => ({
    bytes: frames.drops(5000),
    again: 'when answered',
    next: () => frames.drops(5000),
  })),
  'HTTP/2 requests with 4 KB of fields': byFrames(4, (frames) => ({
    bytes: frames.withFields(4000),
    again: 'when answered',
    next: () => frames.withFields(4000),
  })),
  'unfinished TLS handshakes': bySockets('edge over TLS', { connections: 300, bytes: halfHello }),
  'inflated bodies': bySockets('lookup', {
    connections: 26,
    bytes: Buffer.concat([
      Buffer.from(head('POST /tools/map', 'Content-Encoding: gzip', `Content-Length: ${bomb.length + 1}`)),
      bomb,
    ]),
  }),
  misses: bySockets('lookup', {
    connections: 50,
    bytes: head(`GET /${freshAddress()}`),
    again: 'when answered',
    next: () => head(`GET /${freshAddress()}`),
  }),
  batches: bySockets('lookup', { connections: 20, bytes: post('/batch', thousand), again: 'when answered' }),
  'unread batches': bySockets('lookup', { connections: 300, bytes: post('/batch', thousand), neverReads: true }),
  'unfinished lists': bySockets('bulk', {
    connections: 300,
    bytes: `${head('POST /jobs', 'Content-Length: 1000', 'Content-Type: text/plain')}1.1.1.1\n`,
  }),
  'small jobs': bySockets('bulk', {
    connections: 20,
    bytes: post('/jobs', '1.1.1.1\n', 'Content-Type: text/plain'),
    again: 'when answered',
  }),
  'inflated lists': bySockets('bulk', {
    connections: 10,
    bytes: post('/jobs', blanks, 'Content-Encoding: gzip', 'Content-Type: text/plain'),
    again: 'when answered',
  }),
}
