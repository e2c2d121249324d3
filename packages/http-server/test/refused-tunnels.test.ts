import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { hardenServer, httpServerOptions } from '../src/harden-server.ts'

/** A server that takes no CONNECT, and what clients do that ask for one. */
const waiting: ServerResponse[] = []
const server = createServer(httpServerOptions(), (_req, res) => void waiting.push(res))
hardenServer(server)
beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterAll(async () => {
  server.close()
  server.closeAllConnections()
  await once(server, 'close')
})

const port = (): number => (server.address() as AddressInfo).port
const connectHead = 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n'
const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

async function nextSocket(): Promise<Socket> {
  const [socket] = (await once(server, 'connection')) as [Socket]
  return socket
}

test.each([
  ['at once', ''],
  ['behind a request that waits', get],
])('a reset after the refusal ends its connection, and nothing else: %s', async (_what, before) => {
  const accepted = nextSocket()
  const client = connect(port(), '127.0.0.1')
  client.write(before + connectHead)
  const socket = await accepted
  await once(server, 'connect')
  // `once` would listen for the error as well; unheard, it would end this process.
  const closed = new Promise((resolve) => socket.on('close', resolve))
  client.resetAndDestroy()
  await closed
  expect(server.listening).toBe(true)
})

test('a large answer before the refusal still comes as a whole', async () => {
  waiting.length = 0
  const client = connect(port(), '127.0.0.1')
  const all = text(client)
  client.write(get + connectHead)
  await once(server, 'connect')
  const [res] = waiting
  for (let part = 0; part < 50; part += 1) {
    if (res?.write('x'.repeat(100_000)) === false) await once(res, 'drain')
  }
  res?.end()
  const said = await all
  expect(said.match(/x/g)).toHaveLength(5_000_000)
  expect(said).toMatch(/^HTTP\/1\.1 200 .*\r\n0\r\n\r\nHTTP\/1\.1 405 .*"status": 405/s)
})
