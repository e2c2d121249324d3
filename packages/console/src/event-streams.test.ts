import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Response } from 'express'
import express from 'express'
import { expect, test } from '@jest/globals'
import { EventStreams } from './event-streams.ts'

test('clients that left before their stream was opened hold no place', async () => {
  const streams = new EventStreams({ next: async () => '{}', closing: new AbortController().signal })
  const gone: Promise<Response>[] = []
  const app = express()
  app.get('/left', (_req, res) => void gone.push(once(res, 'close').then(() => res)))
  app.get('/stays', (_req, res) => streams.open(res, 'session', async () => true))
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  for (let client = 0; client < 5; client += 1) {
    const leaving = request({ port, host: '127.0.0.1', path: '/left' }).on('error', () => {})
    const [arrived] = [once(server, 'request')]
    leaving.end()
    await arrived
    leaving.destroy()
  }
  for (const left of await Promise.all(gone)) streams.open(left, 'session', async () => true)
  const reply = await fetch(`http://127.0.0.1:${port}/stays`)
  expect([reply.status, reply.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
  await reply.body?.cancel()
  server.closeAllConnections()
  server.close()
})
