import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { lingerAfter } from './linger.ts'
import { listen } from './listen.ts'

/** Answers before it has read the request. */
const server = createServer((_req, res: ServerResponse) => {
  lingerAfter(res)
  res.writeHead(413).end('no')
})
let port = 0
beforeAll(async () => {
  port = await listen(server, { port: 0, host: '127.0.0.1' })
})
afterAll(async () => {
  server.close()
  server.closeAllConnections()
  await once(server, 'close')
})

interface Client {
  readonly socket: Socket
  answer: string
  error: Error | undefined
}

function client(): Client {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const seen: Client = { socket, answer: '', error: undefined }
  socket.on('data', (bytes) => (seen.answer += bytes))
  socket.on('error', (error) => (seen.error = error))
  socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n')
  return seen
}

test('the answer says that the connection ends, and only our side ends', async () => {
  const { socket, ...seen } = client()
  await once(socket, 'end')
  expect(seen.error).toBeUndefined()
  expect(socket.writable).toBe(true)
  socket.destroy()
})

test('a client that goes on sending gets the whole answer, and no reset in its way', async () => {
  const seen = client()
  const { socket } = seen
  const more = Buffer.alloc(100_000)
  let ended = false
  socket.once('end', () => (ended = true))
  while (!ended) {
    socket.write(more)
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(seen.error).toBeUndefined()
  expect(seen.answer).toMatch(/^HTTP\/1\.1 413 [^]*connection: close[^]*\r\n\r\n.*no/i)
  socket.destroy()
})

test('after a second of it the connection is cut', async () => {
  const { socket } = client()
  const sending = setInterval(() => socket.write('x'), 20)
  const startedMs = performance.now()
  await once(socket, 'close')
  clearInterval(sending)
  expect(performance.now() - startedMs).toBeGreaterThan(900)
})

test('a client that has read its answer and leaves is not waited for', async () => {
  const { socket } = client()
  await once(socket, 'end')
  const [serverSide] = await new Promise<[number]>((resolve) => server.getConnections((_, count) => resolve([count])))
  expect(serverSide).toBeGreaterThan(0)
  socket.destroy()
})
