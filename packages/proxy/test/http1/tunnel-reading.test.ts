import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { until } from '@ipfleet/testing/until.ts'
import { tunnelReading } from '../../src/http1/tunnel-reading.ts'
import { Tunnels } from '../../src/http1/tunnels.ts'
import { socketPair } from '@ipfleet/testing/socket-pair.ts'

const nothing = Buffer.alloc(0)
const opened: Socket[] = []

let tunnels: Tunnels
// Of each test's own: what is joined after `drain` is ended at the next look.
beforeEach(() => {
  tunnels = new Tunnels({ idleMs: 10_000 })
})
afterEach(async () => {
  await tunnels.drain(0)
  for (const socket of opened.splice(0)) socket.destroy()
})

/** A tunnel between two ends, the server's side of which is read as `tunnelReading` says. */
async function stand(): Promise<{ readonly client: Socket; readonly server: Socket }> {
  const [inner, client] = await socketPair()
  const listener = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const accepted = once(listener, 'connection') as Promise<[Socket]>
  const { port } = listener.address() as AddressInfo
  const outer = connect({ host: '127.0.0.1', port, allowHalfOpen: true, onread: tunnelReading })
  outer.once('connect', () => tunnels.join(inner, outer, { fromClient: nothing, fromServer: nothing }, () => {}))
  const [server] = await accepted
  listener.close()
  opened.push(inner, client, outer, server)
  return { client, server }
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** All that comes until the other side has said all. */
async function readAll(socket: Socket): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of socket) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

test('what many servers send at once, each to a client of another pace, comes unmixed and whole', async () => {
  const bodies = Array.from({ length: 8 }, (_, index) => randomBytes(3_000_000 + index * 12_345))
  const digests = await Promise.all(
    bodies.map(async (body, index) => {
      const { client, server } = await stand()
      // In two parts, of which the second meets a client that has not read all of the first.
      server.write(body.subarray(0, 2_000_000))
      if (index % 2 === 0) await until(() => client.readableLength > 0)
      server.end(body.subarray(2_000_000))
      return readAll(client)
    }),
  )
  expect(digests).toEqual(bodies.map(digest))
})

test('small words go to and fro between what others send much of', async () => {
  const busy = await stand()
  const calm = await stand()
  const body = randomBytes(8_000_000)
  busy.server.end(body)
  const whole = readAll(busy.client)
  calm.server.pipe(calm.server)
  for (let turn = 0; turn < 200; turn += 1) {
    calm.client.write(`word ${turn}`)
    const [answer] = (await once(calm.client, 'data')) as [Buffer]
    expect(answer.toString()).toBe(`word ${turn}`)
  }
  expect(await whole).toBe(digest(body))
})

test('a client that reads nothing stops its server, and gets all when it reads', async () => {
  const { client, server } = await stand()
  const body = randomBytes(64_000_000)
  server.end(body)
  await until(() => client.readableLength > 0)
  const before = server.bytesWritten - server.writableLength
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect(server.writableLength).toBeGreaterThan(0)
  expect(before).toBeLessThan(body.length)
  expect(await readAll(client)).toBe(digest(body))
})

test('a socket that nobody has joined is closed when it is sent something', async () => {
  const listener = createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  const socket = connect({ host: '127.0.0.1', port, onread: tunnelReading })
  opened.push(socket)
  await once(socket, 'close')
  listener.close()
})
