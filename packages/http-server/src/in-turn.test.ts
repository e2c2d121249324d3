import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { hardenServer, httpServerOptions } from './harden-server.ts'
import { inTurn } from './in-turn.ts'
import { listen } from './listen.ts'

/** Those that have begun and wait for a test to answer them, by their targets. */
const begun = new Map<string, ServerResponse>()
let wake = (): void => {}
// A client that has sent much rests, and on a busy machine for longer than its next request has by default.
const limits = { headersTimeoutMs: 170_000, requestTimeoutMs: 170_000 }
const server = createServer(
  httpServerOptions(limits),
  inTurn((req, res) => {
    begun.set(req.url ?? '', res)
    wake()
  }),
)
hardenServer(server, limits)
let port = 0

beforeAll(async () => {
  port = await listen(server, { port: 0, host: '127.0.0.1' })
})
afterAll(async () => {
  server.close()
  server.closeAllConnections()
  await once(server, 'close')
})
beforeEach(() => begun.clear())

const get = (target: string, ...lines: string[]): string =>
  [`GET ${target} HTTP/1.1`, 'Host: a', ...lines, '', ''].join('\r\n')

async function beginning(target: string): Promise<ServerResponse> {
  for (;;) {
    const res = begun.get(target)
    if (res !== undefined) return res
    await new Promise<void>((resolve) => (wake = resolve))
  }
}

function send(bytes: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.write(bytes)
  return text(socket)
}

const statuses = (answers: string): string[] =>
  [...answers.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status = '']) => status)

test('a request begins when the answer to the one before it is out', async () => {
  const answers = send(get('/1') + get('/2') + get('/3', 'Connection: close'))
  for (const [index, target] of ['/1', '/2', '/3'].entries()) {
    const res = await beginning(target)
    expect(begun.size).toBe(index + 1)
    res.end(`${target}\n`)
  }
  expect((await answers).match(/^\/\d$/gm)).toHaveLength(3)
})

test('a request behind an answer that ends the connection never begins, in the same packet or later', async () => {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.write(get('/1') + get('/2'))
  const answers = text(socket)
  const first = await beginning('/1')
  first.shouldKeepAlive = false
  // As a server does that lets its client say the rest.
  first.socket!.destroySoon = () => first.req.socket.end()
  first.end('last')
  expect(await answers).toMatch(/last$/)
  socket.write(get('/3'))
  const served = send(get('/other', 'Connection: close'))
  const other = await beginning('/other')
  other.end()
  await served
  expect([...begun.keys()]).toEqual(['/1', '/other'])
  socket.destroy()
  first.req.socket.destroy()
})

test.each([1000, 20_000])('%d pipelined requests in one write are answered in their order', async (count) => {
  const targets = Array.from({ length: count }, (_, index) => `/n${index}`)
  const last = get('/last', 'Connection: close')
  const served: string[] = []
  let arrived = 0
  let maxWaiting = 0
  const crowd = createServer(
    httpServerOptions(limits),
    inTurn((req, res) => {
      served.push(req.url ?? '')
      res.end(`${req.url}\n`)
    }),
  )
  crowd.on('request', () => {
    arrived += 1
    maxWaiting = Math.max(maxWaiting, arrived - served.length)
  })
  hardenServer(crowd, limits)
  const socket = connect({ port: await listen(crowd, { port: 0, host: '127.0.0.1' }), host: '127.0.0.1' })
  socket.write(targets.map((target) => get(target)).join('') + last)
  const answers = await text(socket)
  crowd.close()
  expect(served).toEqual([...targets, '/last'])
  expect(answers.match(/^\/\w+$/gm)).toEqual([...targets, '/last'])
  // Those of one piece that Node reads (64 KiB), and no more.
  expect(maxWaiting).toBeLessThan(100 + 65_536 / get('/n1').length)
})

test('a request with a body far behind in the line is read whole', async () => {
  const bodies = Array.from(
    { length: 150 },
    (_, index) => `POST /${index} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc`,
  )
  const large = `POST /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 300000\r\n\r\n${'x'.repeat(300_000)}`
  const answers = send(bodies.join('') + large)
  for (const [index] of bodies.entries()) {
    const res = await beginning(`/${index}`)
    expect(await text(res.req)).toBe('abc')
    res.end()
  }
  const last = await beginning('/large')
  expect(await text(last.req)).toHaveLength(300_000)
  last.end()
  expect(statuses(await answers)).toHaveLength(151)
})

test('of a client that sends ahead on many connections those are closed that bring most; others are served', async () => {
  const taken: Socket[] = []
  const take = (socket: Socket): void => void taken.push(socket)
  server.on('connection', take)
  // From an address of its own: it rests for a while afterwards.
  const ahead = Array.from({ length: 60 }, () => connect({ port, host: '127.0.0.1', localAddress: '127.0.0.3' }))
  const ends = ahead.map((socket) =>
    once(
      socket.on('error', () => {}),
      'close',
    ),
  )
  for (const socket of ahead) socket.write(get('/ahead').repeat(150))
  await Promise.race(ends)
  const other = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2' })
  other.write(get('/1') + get('/2', 'Connection: close'))
  const answers = text(other)
  for (const target of ['/1', '/2']) (await beginning(target)).end()
  expect(statuses(await answers)).toEqual(['200', '200'])
  for (const socket of ahead) socket.destroy()
  await Promise.all(ends)
  // What they sent is read in turns, also when they have gone, and the next tests are to see none of it.
  for (const socket of taken) socket.destroy()
  server.off('connection', take)
})

describe('what is refused behind a request', () => {
  test.each([
    ['garbage', 'GARBAGE\r\n\r\n', '400'],
    ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n', '405'],
    [
      'a body of which the beginning is broken',
      `POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n`,
      '400',
    ],
    ['an expectation', get('/2', 'Expect: x'), '417'],
  ])('waits for its answer: %s', async (_what, bytes, status) => {
    const answers = send(get('/1') + bytes)
    const first = await beginning('/1')
    first.end('first')
    expect(statuses(await answers)).toEqual(['200', status])
    expect([...begun.keys()]).toEqual(['/1'])
  })

  test('is not answered when that answer is the last one', async () => {
    const answers = send(`${get('/1', 'Connection: close')}GARBAGE\r\n\r\n`)
    const first = await beginning('/1')
    first.end('first')
    expect(statuses(await answers)).toEqual(['200'])
  })

  test('is not answered a second time', async () => {
    expect(statuses(await send(`${get('/1', 'Expect: x')}GARBAGE\r\n\r\n`))).toEqual(['417'])
    expect(statuses(await send('GARBAGE\r\n\r\nGARBAGE\r\n\r\n'))).toEqual(['400'])
  })
})

test('a broken body is refused in the place of its own answer, or ends that', async () => {
  const body = 'POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n'
  expect(statuses(await send(body))).toEqual(['400'])
  const later = connect({ port, host: '127.0.0.1' })
  later.write(body.replace('/1', '/2').slice(0, -3))
  const answers = text(later)
  const res = await beginning('/2')
  await new Promise((resolve) => res.write('half', resolve))
  later.write('x\r\n')
  expect(await answers).toMatch(/^HTTP\/1\.1 200 [^]*half/)
})
