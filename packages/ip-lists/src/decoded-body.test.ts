import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { expect, test } from '@jest/globals'
import { DecodedBody } from './decoded-body.ts'
import { inPieces } from './input-bodies.fixture.ts'
import { readInputs } from './read-inputs.ts'

const text = Array.from({ length: 8000 }, (_, index) => `10.0.${index >> 8}.${(index * 7) & 255}\n`).join('')

async function textOf(body: DecodedBody): Promise<string> {
  return Buffer.concat(await Array.fromAsync(body)).toString()
}

const coded: readonly (readonly [string | undefined, Buffer])[] = [
  ['gzip', gzipSync(text)],
  ['X-GZIP', gzipSync(text)],
  ['identity, gzip', gzipSync(text)],
  ['deflate', deflateSync(text)],
  ['deflate', deflateRawSync(text)],
  ['br', brotliCompressSync(text)],
  ['zstd', zstdCompressSync(text)],
  ['identity', Buffer.from(text)],
  [undefined, Buffer.from(text)],
  [undefined, gzipSync(text)],
  [undefined, zstdCompressSync(text)],
]

test.each(coded)('Content-Encoding %s: the body comes out as it was, and is counted (%#)', async (coding, bytes) => {
  for (const size of [1, 999, bytes.length]) {
    const body = new DecodedBody(inPieces(bytes, size), coding)
    expect(await textOf(body)).toBe(text)
    expect([body.receivedBytes, body.decodedBytes]).toEqual([bytes.length, text.length])
  }
})

test('gzip files one after the other are one body', async () => {
  const bytes = Buffer.concat([gzipSync('1.1.1.1\n'), gzipSync('2.2.2.2\n')])
  expect(await textOf(new DecodedBody(inPieces(bytes, 7), 'gzip'))).toBe('1.1.1.1\n2.2.2.2\n')
})

test.each(coded.slice(0, 7))(
  'Content-Encoding %s: cut short or followed by more is broken (%#)',
  async (coding, bytes) => {
    for (const bad of [
      bytes.subarray(0, -1),
      bytes.subarray(0, 100),
      Buffer.concat([bytes, Buffer.from('8.8.8.8\n')]),
    ]) {
      await expect(textOf(new DecodedBody(inPieces(bad, 999), coding))).rejects.toMatchObject({
        status: 400,
        message: expect.stringMatching(
          /^The (?:gzip|deflate|br|zstd) body is broken or cut short: no more than \d+ bytes/,
        ),
      })
    }
  },
)

test.each(['gzip', 'deflate', 'br', 'zstd'])('a body that is not %s at all is a bad request', async (coding) => {
  await expect(textOf(new DecodedBody(inPieces(Buffer.from('8.8.8.8\n1.1.1.1\n')), coding))).rejects.toMatchObject({
    status: 400,
  })
})

test.each(['compress', 'gzip, br', 'gzip, gzip', 'constructor'])(
  'Content-Encoding %s is refused with 415',
  (coding) => {
    expect(() => new DecodedBody(inPieces(Buffer.from('x')), coding)).toThrow(expect.objectContaining({ status: 415 }))
  },
)

/** RFC 8878 §3.1.1: a frame with one raw block, whose window is 2^`windowLog` bytes. */
function zstdFrame(windowLog: number): Buffer {
  const block = Buffer.from('8.8.8.8\n')
  const isLast = 1
  const header = [0x28, 0xb5, 0x2f, 0xfd, 0, (windowLog - 10) << 3, (block.length << 3) | isLast, 0, 0]
  return Buffer.concat([Buffer.from(header), block])
}

test('zstd with a window of more than the 8 MB that HTTP allows is refused', async () => {
  expect(await textOf(new DecodedBody(inPieces(zstdFrame(23)), 'zstd'))).toBe('8.8.8.8\n')
  await expect(textOf(new DecodedBody(inPieces(zstdFrame(24)), 'zstd'))).rejects.toMatchObject({ status: 400 })
})

test('a bomb is inflated no further than it is read', async () => {
  const body = new DecodedBody(inPieces(gzipSync(Buffer.alloc(64_000_000))), 'gzip')
  const iterator = body[Symbol.asyncIterator]()
  await iterator.next()
  expect(body.decodedBytes).toBeLessThan(1_000_000)
  await iterator.return(undefined)
})

test('a body that breaks off is a client that left, coded or not', async () => {
  for (const bytes of [Buffer.from(text), gzipSync(text)]) {
    const source = new PassThrough()
    source.write(bytes.subarray(0, 5000))
    const reading = textOf(new DecodedBody(source, undefined))
    source.destroy()
    await expect(reading).rejects.toMatchObject({ code: 'client_left' })
  }
})

test('a failure that the server itself gave the body is kept', async () => {
  const source = Readable.from(
    (function* () {
      yield Buffer.from('8.8.8.8\n')
      throw new ProxyError('request_timeout')
    })(),
  )
  await expect(textOf(new DecodedBody(source, undefined))).rejects.toMatchObject({ code: 'request_timeout' })
})

/** What reading the inputs of one request ends with, and what the client is answered after it. */
async function upload(
  send: (port: number) => Promise<unknown>,
): Promise<{ readonly end: unknown; readonly client: unknown }> {
  const { promise: end, resolve } = Promise.withResolvers<unknown>()
  const server = createServer((req: IncomingMessage, res) => {
    const inputs = readInputs(
      new DecodedBody(req, req.headers['content-encoding']),
      { kind: 'lines' },
      { maxLines: 1e5 },
    )
    void Array.fromAsync(inputs).then(resolve, resolve)
    void end.then((result) => res.writeHead(result instanceof Error ? 400 : 200).end())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const client = await send((server.address() as AddressInfo).port)
    return { end: await end, client }
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

test.each([undefined, 'gzip'])(
  'over HTTP a client that leaves in mid-body is told from a broken body (%s)',
  async (coding) => {
    const { end } = await upload(async (port) => {
      const headers = coding === undefined ? {} : { 'Content-Encoding': coding }
      const req = request({ port, method: 'POST', headers })
      req.on('error', () => undefined)
      const bytes = coding === undefined ? Buffer.from(text) : gzipSync(text)
      await new Promise((sent) => req.write(bytes.subarray(0, 10_000), sent))
      req.destroy()
    })
    expect(end).toMatchObject({ code: 'client_left' })
  },
)

test('over HTTP a body that is refused halfway leaves the connection to answer on', async () => {
  const { end, client } = await upload(async (port) => {
    const req = request({ port, method: 'POST' })
    req.write('x'.repeat(100_000))
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    req.destroy()
    return res.statusCode
  })
  expect([end, client]).toEqual([expect.objectContaining({ status: 413 }), 400])
})
