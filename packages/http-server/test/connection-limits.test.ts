import { once } from 'node:events'
import { createServer, get } from 'node:http'
import { connect, type Socket } from 'node:net'
import { afterEach, expect, test } from '@jest/globals'
import { addressBlocks } from '@ipfleet/net/address-blocks.ts'
import { ConnectionLimits } from '../src/connection-limits.ts'
import { listen } from '../src/listen.ts'

const cleanups: (() => unknown)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

async function startServer(maxPerClient: number, trusted: readonly string[] = []): Promise<number> {
  const server = createServer((_req, res) => res.end('served'))
  new ConnectionLimits({ maxPerClient, isTrusted: addressBlocks(trusted) }).watch(server)
  cleanups.push(() => {
    server.close()
    server.closeAllConnections()
  })
  return listen(server, { port: 0, host: '127.0.0.1' })
}

/** Connections that send nothing. */
async function openIdle(port: number, from: string, count: number): Promise<Socket[]> {
  const sockets = Array.from({ length: count }, () => connect({ port, host: '127.0.0.1', localAddress: from }))
  for (const socket of sockets) {
    socket.on('error', () => undefined)
    cleanups.push(() => socket.destroy())
  }
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  return sockets
}

async function isServed(port: number, localAddress: string): Promise<boolean> {
  const req = get({ port, host: '127.0.0.1', localAddress, agent: false })
  try {
    const [res] = await once(req, 'response')
    res.resume()
    return res.statusCode === 200
  } catch {
    return false
  }
}

test('a client over its limit is cut off, others are served, and a connection that ends makes room', async () => {
  const port = await startServer(3)
  const idle = await openIdle(port, '127.0.0.2', 3)
  expect(await isServed(port, '127.0.0.2')).toBe(false)
  expect(await isServed(port, '127.0.0.3')).toBe(true)
  const [first] = idle
  first?.end()
  if (first) await once(first.resume(), 'close')
  expect(await isServed(port, '127.0.0.2')).toBe(true)
})

test.each([
  ['0 is no limit', 0, []],
  ['trusted proxies are not limited', 3, ['127.0.0.0/8']],
])('%s', async (_what, maxPerClient, trusted) => {
  const port = await startServer(maxPerClient, trusted)
  await openIdle(port, '127.0.0.2', 10)
  expect(await isServed(port, '127.0.0.2')).toBe(true)
})
