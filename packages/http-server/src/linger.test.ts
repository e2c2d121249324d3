import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { lingerAfter } from './linger.ts'
import { listen } from './listen.ts'

/** Answers before it has read the request. */
const server = createServer((_req, res: ServerResponse) => {
  lingerAfter(res)
  res.writeHead(413, { 'content-length': 2 }).end('no')
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
  readonly closed: Promise<void>
  ended: boolean
  answer: string
  error: Error | undefined
}

/** One that has only begun with its body. */
function client(): Client {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  const seen: Client = { socket, closed, ended: false, answer: '', error: undefined }
  socket.on('data', (bytes) => (seen.answer += bytes))
  socket.on('end', () => (seen.ended = true))
  socket.on('error', (error) => (seen.error = error))
  socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n')
  return seen
}

test('a client that goes on sending gets the whole answer, and no reset in its way', async () => {
  const seen = client()
  const more = Buffer.alloc(100_000)
  while (!seen.ended && seen.error === undefined) {
    seen.socket.write(more)
    await nextTurn()
  }
  expect(seen.error).toBeUndefined()
  expect(seen.answer).toMatch(/^HTTP\/1\.1 413 [^]*connection: close[^]*\r\n\r\nno$/i)
  // Only our side has ended.
  expect(seen.socket.writable).toBe(true)
  seen.socket.destroy()
})

test('what comes after the answer is read for a second, and then the connection is cut', async () => {
  const { socket, closed } = client()
  const startedMs = performance.now()
  const sending = setInterval(() => socket.writable && socket.write('x'), 20)
  await closed
  clearInterval(sending)
  expect(performance.now() - startedMs).toBeGreaterThan(900)
})
