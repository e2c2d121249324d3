import { once } from 'node:events'
import { createServer, get, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Response } from 'express'
import express from 'express'
import { errorHandler } from '@ipfleet/http-server/error-handler.ts'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { EventStreams } from './event-streams.ts'

/** The lives of streams, over real connections. The path says whose one is. */
let streams: EventStreams
let closing: AbortController
let ended: Set<string>
let server: Server
let left: Promise<Response>[]
beforeEach(async () => {
  closing = new AbortController()
  ended = new Set()
  left = []
  streams = new EventStreams({ next: async () => '{"made":true}', closing: closing.signal, everyMs: 20 })
  const app = express()
  app.get('/left', (_req, res) => void left.push(once(res, 'close').then(() => res)))
  app.get('/:session', ({ params }, res) => {
    const { session } = params
    streams.open(res, session, async () => !ended.has(session))
  })
  app.use(errorHandler(() => {}))
  server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterEach(() => {
  closing.abort()
  server.closeAllConnections()
  server.close()
})

async function open(session: string): Promise<IncomingMessage> {
  const { port } = server.address() as AddressInfo
  const req = get({ host: '127.0.0.1', port, path: `/${session}`, agent: false })
  const [res] = (await once(req, 'response')) as [IncomingMessage]
  return res.on('error', () => {})
}

const eventsOf = async (res: IncomingMessage): Promise<void> => void (await once(res, 'data'))

test('a stream ends with its session, and no other does', async () => {
  const [one, other] = [await open('one'), await open('other')]
  await Promise.all([eventsOf(one), eventsOf(other)])
  ended.add('one')
  await once(one.resume(), 'end')
  await eventsOf(other)
  expect(other.complete).toBe(false)
})

test('a stream of a session that has ended tells nothing', async () => {
  ended.add('one')
  const res = await open('one')
  let text = ''
  for await (const chunk of res) text += String(chunk)
  expect(text).toBe('')
})

test('a session has five, and all have a hundred; the next is told when to come again, and a place that is left is free', async () => {
  const first = await Promise.all(Array.from({ length: 5 }, () => open('one')))
  expect(first.map(({ statusCode }) => statusCode)).toEqual([200, 200, 200, 200, 200])
  const sixth = await open('one')
  expect([sixth.statusCode, sixth.headers['retry-after']]).toEqual([429, '5'])
  const more = await Promise.all(Array.from({ length: 95 }, (_, index) => open(`session-${index % 19}`)))
  expect(more.every(({ statusCode }) => statusCode === 200)).toBe(true)
  const beyond = await open('another')
  expect([beyond.statusCode, beyond.headers['retry-after']]).toEqual([503, '5'])
  ended.add('one')
  await Promise.all(first.map((res) => once(res.resume(), 'end')))
  expect((await open('another')).statusCode).toBe(200)
})

test('all end when the process is to stop, and none begins', async () => {
  const res = await open('one')
  await eventsOf(res)
  closing.abort()
  await once(res.resume(), 'end')
  expect((await open('one')).statusCode).toBe(503)
})

test('clients that left before their stream was opened hold no place', async () => {
  for (let client = 0; client < 5; client += 1) {
    const { port } = server.address() as AddressInfo
    const arrived = once(server, 'request')
    const leaving = get({ port, host: '127.0.0.1', path: '/left', agent: false }).on('error', () => {})
    await arrived
    leaving.destroy()
  }
  for (const gone of await Promise.all(left)) streams.open(gone, 'session', async () => true)
  const res = await open('session')
  expect([res.statusCode, res.headers['content-type']]).toEqual([200, 'text/event-stream; charset=utf-8'])
})
