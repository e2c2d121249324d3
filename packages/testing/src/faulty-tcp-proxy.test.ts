import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { type FaultyTcpProxy, startFaultyTcpProxy } from './faulty-tcp-proxy.ts'

let echo: Server
let proxy: FaultyTcpProxy
const heard: string[] = []
const open = new Set<Socket>()

beforeEach(async () => {
  heard.length = 0
  echo = createServer((socket) => {
    track(socket)
    socket.on('data', (chunk) => {
      heard.push(chunk.toString())
      echo.emit('heard')
      socket.write(`echo ${chunk.toString()}`)
    })
  })
  echo.listen(0, '127.0.0.1')
  await once(echo, 'listening')
  const address = echo.address()
  proxy = await startFaultyTcpProxy({ targetPort: typeof address === 'object' ? (address?.port ?? 0) : 0 })
})

afterEach(async () => {
  await proxy.close()
  for (const socket of open) socket.destroy()
  echo.close()
  await once(echo, 'close')
})

function track(socket: Socket): Socket {
  open.add(socket)
  socket.on('error', () => {})
  socket.once('close', () => open.delete(socket))
  return socket
}

async function dial(): Promise<Socket> {
  const socket = track(connect(proxy.port, '127.0.0.1'))
  await once(socket, 'connect')
  return socket
}

/** Resolves when the socket is gone, whether by FIN or by RST. */
function gone(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve())
  })
}

async function say(socket: Socket, text: string): Promise<string> {
  const answer = once(socket, 'data')
  socket.write(text)
  return String((await answer)[0])
}

/** What came of a socket that should get nothing: a second one, on a link that works, is the clock. */
async function silent(socket: Socket): Promise<boolean> {
  let isSilent = true
  socket.once('data', () => (isSilent = false)).once('close', () => (isSilent = false))
  socket.write('lost')
  await new Promise((resolve) => {
    setTimeout(resolve, 40)
  })
  return isSilent
}

test('pass hands bytes both ways and counts connections', async () => {
  const socket = await dial()
  expect(await say(socket, 'a')).toBe('echo a')
  expect([proxy.connections, proxy.accepted]).toEqual([1, 1])
})

test('pass hands on an end of either side', async () => {
  const socket = await dial()
  await say(socket, 'a')
  const ended = once(socket, 'close')
  socket.end()
  await ended
  expect(await say(await dial(), 'b')).toBe('echo b')
  expect(proxy.accepted).toBe(2)
})

test('pass keeps a large answer whole', async () => {
  const socket = await dial()
  const text = 'x'.repeat(3_000_000)
  let bytes = 0
  const whole = Promise.withResolvers<void>()
  socket.on('data', (chunk) => {
    bytes += chunk.length
    if (bytes >= text.length) whole.resolve()
  })
  socket.write(text)
  await whole.promise
  expect(bytes).toBeGreaterThanOrEqual(text.length)
})

test('blackhole mutes open and new connections without ending them, and what was lost stays lost', async () => {
  const old = await dial()
  await say(old, 'a')
  await proxy.mode('blackhole')
  const fresh = await dial()
  expect([await silent(old), await silent(fresh), heard]).toEqual([true, true, ['a']])
  await proxy.mode('pass')
  expect(await silent(old)).toBe(true)
  expect(await say(await dial(), 'b')).toBe('echo b')
})

test('a connection that lost nothing in the blackhole goes on after it', async () => {
  const socket = await dial()
  await say(socket, 'a')
  await proxy.mode('blackhole')
  await proxy.mode('pass')
  expect(await say(socket, 'b')).toBe('echo b')
})

test('half loses only what the server says', async () => {
  const socket = await dial()
  await proxy.mode('half')
  const arrived = once(echo, 'heard')
  expect(await silent(socket)).toBe(true)
  await arrived
  expect(heard).toEqual(['lost'])
})

test('reset ends open connections and new ones', async () => {
  const old = await dial()
  await say(old, 'a')
  const reset = once(old, 'error')
  await proxy.mode('reset')
  expect((await reset)[0]).toMatchObject({ code: 'ECONNRESET' })
  const fresh = track(connect(proxy.port, '127.0.0.1'))
  await gone(fresh)
  expect(fresh.bytesRead).toBe(0)
  await proxy.mode('pass')
  expect(await say(await dial(), 'b')).toBe('echo b')
})

test('refuse closes what is open, refuses what comes, and returns on the same port', async () => {
  const { port } = proxy
  const old = await dial()
  await say(old, 'a')
  const ended = once(old, 'close')
  await proxy.mode('refuse')
  await ended
  const refused = track(connect(port, '127.0.0.1'))
  expect((await once(refused, 'error'))[0]).toMatchObject({ code: 'ECONNREFUSED' })
  await proxy.mode('pass')
  expect([proxy.port, await say(await dial(), 'b')]).toEqual([port, 'echo b'])
})

test('a delay holds every chunk for its time, in order, on open connections too', async () => {
  const socket = await dial()
  await say(socket, 'a')
  await proxy.mode({ delayMs: 30 })
  const before = performance.now()
  expect(await say(socket, 'b')).toBe('echo b')
  expect(performance.now() - before).toBeGreaterThanOrEqual(58)
  socket.write('c')
  await once(echo, 'heard')
  await proxy.mode('pass')
  socket.write('d')
  await once(echo, 'heard')
  expect(heard).toEqual(['a', 'b', 'c', 'd'])
})

test('a dead target ends the client', async () => {
  echo.close()
  await once(echo, 'close')
  const socket = track(connect(proxy.port, '127.0.0.1'))
  await gone(socket)
  expect(socket.bytesRead).toBe(0)
  echo.listen(0)
  await once(echo, 'listening')
})
