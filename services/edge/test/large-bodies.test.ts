import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { flood } from '@ipfleet/testing/flood.ts'
import { processMemory } from '@ipfleet/testing/process-memory.ts'
import { ScriptedBackend } from '@ipfleet/testing/scripted-backend.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'

/** Bodies that are far larger than what the edge may hold of them. */
const bodyBytes = 120_000_000
/** Over what the edge takes when it is idle: buffers of sockets, and what its collector leaves lying about. */
const mostGrowthBytes = 100_000_000

let sink: Server
let slow: ScriptedBackend
let edge: RunningEdge
beforeAll(async () => {
  sink = createServer(async (req, res) => {
    // Sends back what it gets, as it comes, and in the trailers what it was.
    const hash = createHash('sha256')
    res.writeHead(200, { trailer: 'x-digest' })
    await pipeline(
      req,
      async function* digested(chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          hash.update(chunk)
          yield chunk
        }
        res.addTrailers({ 'x-digest': hash.digest('hex') })
      },
      res,
    )
  }).listen(0, '127.0.0.1')
  await once(sink, 'listening')
  slow = await ScriptedBackend.start()
  edge = await startEdge({
    backends: [(sink.address() as AddressInfo).port],
    server: 'max_body_bytes = 0',
    tables: `
      [groups.slow]
      backends = ["http://127.0.0.1:${slow.port}"]
      [[routes]]
      prefix = "/slow"
      upstreams = "slow"`,
  })
})
afterAll(async () => {
  await edge.stop()
  sink.closeAllConnections()
  sink.close()
  await slow[Symbol.asyncDispose]()
})

const memory = (kind: 'VmRSS' | 'VmHWM'): number => processMemory(edge.pid, kind)

function* blocks(): Generator<Buffer> {
  const block = Buffer.alloc(1_000_000)
  for (let left = bodyBytes; left > 0; left -= block.length) {
    block.writeUInt32BE(left)
    yield Buffer.from(block)
  }
}

test.each(['a length', 'chunks'])(
  '120 MB in %s go there and back, byte for byte, and are not held',
  async (framing) => {
    const before = memory('VmRSS')
    const headers = framing === 'a length' ? { 'content-length': bodyBytes } : {}
    const req = request({ port: edge.port, host: '127.0.0.1', method: 'POST', headers })
    const sent = createHash('sha256')
    const sending = pipeline(
      Readable.from(blocks()),
      async function* digested(chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          sent.update(chunk)
          yield chunk
        }
      },
      req,
    )
    const [res] = await once(req, 'response')
    const received = createHash('sha256')
    let bytes = 0
    for await (const chunk of res) {
      bytes += chunk.length
      received.update(chunk)
    }
    await sending
    const digest = sent.digest('hex')
    expect([bytes, received.digest('hex'), res.trailers['x-digest']]).toEqual([bodyBytes, digest, digest])
    expect(memory('VmHWM') - before).toBeLessThan(mostGrowthBytes)
  },
)

test('an upload that its backend does not read is not read either', async () => {
  const before = memory('VmRSS')
  const client = await Wire.to(edge.port)
  client.write(`POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: ${bodyBytes}\r\n\r\n`)
  const server = await slow.accept()
  await server.saw('\r\n\r\n')
  server.socket.pause()
  expect(await flood(client, Buffer.alloc(60_000), bodyBytes)).toBeLessThan(bodyBytes / 3)
  expect(memory('VmRSS') - before).toBeLessThan(mostGrowthBytes)
  client.destroy()
  server.destroy()
})

test.each([1, 4096])('an answer that its client does not read is not read either, in chunks of %i', async (size) => {
  const before = memory('VmRSS')
  const client = await Wire.to(edge.port)
  client.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n')
  const server = await slow.accept()
  await server.saw('\r\n\r\n')
  server.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
  await client.saw('\r\n\r\n')
  client.socket.pause()
  const chunk = `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`
  const block = Buffer.from(chunk.repeat(Math.ceil(60_000 / chunk.length)))
  expect(await flood(server, block, bodyBytes)).toBeLessThan(bodyBytes / 3)
  expect(memory('VmRSS') - before).toBeLessThan(mostGrowthBytes)
  expect(edge.output()).not.toContain('MaxListeners')
  client.destroy()
  server.destroy()
})
