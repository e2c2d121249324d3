import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, expect, test } from '@jest/globals'
import { trackConnections } from '../src/connection-tracker.ts'
import { openFastLane } from '../src/fast-lane/fast-lane.ts'
import type { LaneHandlers } from '../src/fast-lane/plain-connection.ts'
import type { LaneExchange } from '../src/fast-lane/lane-exchange.ts'
import { gracefulClose } from '../src/graceful-close.ts'
import { hardenServer, httpServerOptions, type ServerLimits } from '../src/harden-server.ts'
import { listen } from '../src/listen.ts'
import { get, post } from './lane-server.ts'

const cleanups: (() => unknown)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

async function until(isThere: () => boolean): Promise<void> {
  while (!isThere()) await nextTurn()
}

/** A server that leaves its requests to the test, in order, and one connection to it. */
async function start(limits: ServerLimits = {}) {
  const served: { url: string; exchange: LaneExchange }[] = []
  const byHttp: string[] = []
  const server = createServer(httpServerOptions(limits), (req, res) => {
    byHttp.push(`${req.method} ${req.url}`)
    req.resume().once('end', () => res.writeHead(200, ['Content-Length', '4']).end('http'))
  })
  const serve: LaneHandlers['serve'] = ({ url = '' }, exchange) => served.push({ url, exchange })
  openFastLane(server, { serve }, { takesHead: true })
  hardenServer(server, limits)
  const port = await listen(server, { port: 0, host: '127.0.0.1' })
  const accepted = once(server, 'connection')
  const client = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  cleanups.push(
    () => client.destroy(),
    () => server.close(),
    () => trackConnections(server).destroyAll(),
  )
  let got = ''
  client.on('data', (chunk) => (got += chunk.toString('latin1'))).on('error', () => undefined)
  const [connection] = (await accepted) as [Socket]
  let sent = 0
  /** Resolves when the server has read it. */
  const send = async (bytes: string): Promise<void> => {
    client.write(bytes, 'latin1')
    sent += bytes.length
    while (connection.bytesRead < sent) await nextTurn()
  }
  /** The exchange of the request that came as the n-th in the lane. */
  const exchange = async (index: number): Promise<LaneExchange> => {
    await until(() => served.length > index)
    return (served[index] as (typeof served)[number]).exchange
  }
  return { server, client, connection, served, byHttp, send, exchange, got: () => got }
}

function whole(exchange: LaneExchange, body: string): void {
  const { date, connection } = exchange.connectionFields()
  exchange.end(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${date}${connection}\r\n${body}`)
}

test('what comes behind a request waits for its answer, and is served in order', async () => {
  const { send, exchange, byHttp, got, served } = await start()
  await send(get('/a'))
  const first = await exchange(0)
  await send(post('/b', 'body'))
  await send(get('/c').slice(0, 20))
  expect(byHttp).toEqual([])
  whole(first, 'first')
  await send(get('/c').slice(20))
  await until(() => byHttp.length === 2 && got().split('http').length === 3)
  expect(byHttp).toEqual(['POST /b', 'GET /c'])
  expect(got()).toMatch(/^HTTP[^]*first[^]*http[^]*http$/)
  expect(served.map(({ url }) => url)).toEqual(['/a'])
})

test('an answer as node:http makes it says the same of the connection, which stays in the lane', async () => {
  const { send, exchange, got } = await start()
  await send(get('/a'))
  whole(await exchange(0), 'one')
  await send(get('/b'))
  const res = (await exchange(1)).response()
  res.writeHead(200, ['Content-Length', '3']).write('t')
  res.end('wo')
  await send(get('/c'))
  whole(await exchange(2), 'three')
  await until(() => got().endsWith('three'))
  const heads = got()
    .match(/HTTP[^]*?\r\n\r\n/g)
    ?.map((head) => head.replaceAll(/Content-Length: .|Date: .*/g, ''))
  expect(new Set(heads).size).toBe(1)
  expect(heads?.[0]).toContain('Keep-Alive: timeout=75')
})

test('a client that leaves is told of, whichever way it is answered', async () => {
  const one = await start()
  await one.send(get('/a'))
  const left = new Promise<void>(
    (resolve) => void one.exchange(0).then((exchange) => (exchange.listener = { closed: resolve })),
  )
  await one.exchange(0)
  one.client.destroy()
  await left
  const other = await start()
  await other.send(get('/a'))
  const res = (await other.exchange(0)).response()
  res.writeHead(200, ['Content-Length', '30']).write('part')
  other.client.destroy()
  await once(res, 'close')
})

test('the time for an idle connection is not that of an answer', async () => {
  const { send, exchange, got, client, connection } = await start()
  await send(get('/a'))
  const first = await exchange(0)
  connection.emit('timeout')
  whole(first, 'first')
  await send(post('/b', 'body'))
  await until(() => got().endsWith('http') && connection.timeout !== 0)
  // It is back from node:http, whose timer runs.
  await send(get('/c'))
  const second = await exchange(1)
  expect(connection.timeout).toBe(0)
  whole(second, 'second')
  await until(() => got().endsWith('second'))
  expect(connection.timeout).toBe(76_000)
  const ended = once(client, 'end')
  connection.emit('timeout')
  await ended
})

test('the graceful close waits for an answer under way, which says that it is the last', async () => {
  const { server, send, exchange, client, got } = await start()
  await send(get('/a'))
  const under = await exchange(0)
  const draining = Promise.withResolvers<void>()
  const closed = gracefulClose(server, { drainMs: 0, deadlineMs: 600_000, onDraining: draining.resolve })
  await draining.promise
  expect(under.staysOpen).toBe(false)
  const ended = once(client, 'end')
  under.response().writeHead(200, ['Content-Length', '4']).end('last')
  await ended
  expect(got()).toMatch(/Connection: close\r\n[^]*last$/)
  client.destroy()
  await closed
})

test('a connection whose answer had begun before the close ends behind it', async () => {
  const { server, send, exchange, client, got } = await start()
  await send(get('/a'))
  const res = (await exchange(0)).response()
  res.writeHead(200, ['Content-Length', '4']).write('la')
  const closing = Promise.withResolvers<void>()
  const closed = gracefulClose(server, { drainMs: 0, deadlineMs: 600_000, onDraining: closing.resolve })
  await closing.promise
  while (server.listening) await nextTurn()
  const ended = once(client, 'end')
  res.end('st')
  await ended
  expect(got()).toMatch(/last$/)
  client.destroy()
  await closed
})
