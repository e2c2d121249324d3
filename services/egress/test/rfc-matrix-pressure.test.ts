import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer } from 'node:net'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { flood } from '@ipfleet/testing/flood.ts'
import { processMemory } from '@ipfleet/testing/process-memory.ts'
import type { Wire } from '@ipfleet/testing/wire.ts'
import { okHead, ProxyHarness, requestHead } from './proxy-harness.ts'
import { SilentListener } from './silent-listener.ts'
import { tunnelThrough } from './through.ts'

/** Bodies and streams that are far larger than what the proxy may hold of them. */
const allBytes = 120_000_000
/** Over what the proxy takes when it is idle: buffers of sockets, and what its collector leaves lying about. */
const maxGrowthBytes = 100_000_000

let harness: ProxyHarness
let httpEcho: Server
let echo: TcpServer
beforeAll(async () => {
  harness = await ProxyHarness.start()
  httpEcho = createServer((req, res) => void pipeline(req, res)).listen(0, '127.0.0.1')
  echo = createTcpServer({ allowHalfOpen: true }, (socket) => void pipeline(socket, socket)).listen(0, '127.0.0.1')
  await Promise.all([once(httpEcho, 'listening'), once(echo, 'listening')])
})
afterEach(() => harness.clear())
afterAll(async () => {
  await harness[Symbol.asyncDispose]()
  httpEcho.close()
  echo.close()
})

const portOf = (server: TcpServer): number => (server.address() as AddressInfo).port
const memory = (kind: 'VmRSS' | 'VmHWM'): number => processMemory(harness.egress.pid, kind)

function* blocks(): Generator<Buffer> {
  const block = Buffer.alloc(1_000_000)
  for (let left = allBytes; left > 0; left -= block.length) {
    block.writeUInt32BE(left)
    yield Buffer.from(block)
  }
}

/** Sends all blocks to one and reads the other to its end: whether the same came back. */
async function isEchoed(to: Writable, from: () => Promise<Readable>): Promise<boolean> {
  const sent = createHash('sha256')
  const sending = pipeline(
    Readable.from(blocks()),
    async function* digested(chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        sent.update(chunk)
        yield chunk
      }
    },
    to,
  )
  const received = createHash('sha256')
  for await (const chunk of await from()) received.update(chunk)
  await sending
  return sent.digest('hex') === received.digest('hex')
}

describe('120 MB go there and back, byte for byte, and are not held', () => {
  test.each(['a length', 'chunks'])('in %s', async (framing) => {
    const before = memory('VmRSS')
    const headers = framing === 'a length' ? { 'content-length': allBytes } : {}
    const path = `http://127.0.0.1:${portOf(httpEcho)}/`
    const req = request({ port: harness.egress.port, host: '127.0.0.1', path, method: 'POST', headers })
    expect(await isEchoed(req, async () => (await once(req, 'response'))[0])).toBe(true)
    expect(memory('VmHWM') - before).toBeLessThan(maxGrowthBytes)
  })

  test('through a tunnel', async () => {
    const before = memory('VmRSS')
    const { wire } = await tunnelThrough(harness.egress.port, `127.0.0.1:${portOf(echo)}`)
    const socket = wire.socket.removeAllListeners('data')
    expect(await isEchoed(socket, async () => socket)).toBe(true)
    expect(memory('VmHWM') - before).toBeLessThan(maxGrowthBytes)
  })
})

/** Most of it must be left where it is. */
async function expectStuck(sender: Wire, block = Buffer.alloc(60_000)): Promise<void> {
  const before = memory('VmRSS')
  expect(await flood(sender, block, allBytes)).toBeLessThan(allBytes / 3)
  expect(memory('VmRSS') - before).toBeLessThan(maxGrowthBytes)
}

describe('what nobody reads is not read either:', () => {
  test('a body of a request', async () => {
    const { client, server } = await harness.post([`Content-Length: ${allBytes}`])
    server.socket.pause()
    await expectStuck(client)
  })

  test.each([1, 50_000])('a body of an answer, in chunks of %i', async (size) => {
    const { client, server } = await harness.get('/')
    server.write(okHead('Transfer-Encoding: chunked'))
    await client.saw('\r\n\r\n')
    client.socket.pause()
    const chunk = `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`
    await expectStuck(server, Buffer.from(chunk.repeat(Math.ceil(60_000 / chunk.length))))
    expect(harness.egress.output()).not.toContain('MaxListeners')
  })

  test.each([
    ['client', 'server'],
    ['server', 'client'],
  ] as const)('what comes through a tunnel from the %s', async (from, to) => {
    const ends = await harness.tunnel()
    ends[to].socket.pause()
    await expectStuck(ends[from])
  })

  test('what comes behind a CONNECT that waits for its target', async () => {
    const silent = await SilentListener.start('127.0.0.1')
    try {
      const authority = `127.0.0.1:${silent.port}`
      await expectStuck(await harness.client(requestHead(`CONNECT ${authority}`, `Host: ${authority}`)))
    } finally {
      harness.clear()
      await silent.stop()
    }
  })
})
