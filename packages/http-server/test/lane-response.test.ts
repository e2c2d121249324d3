import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { converse } from '@ipfleet/testing/raw-conversation.ts'
import { openFastLane } from '../src/fast-lane/fast-lane.ts'
import { LaneResponse } from '../src/fast-lane/lane-response.ts'
import { listen } from '../src/listen.ts'
import type { ResponseWriter } from '../src/response-writer.ts'
import { sendError } from '../src/send-error.ts'
import { get } from './lane-server.ts'

/** How it ended, as an access log sees it. */
interface End {
  readonly url: string
  readonly status: number
  readonly isTaken: boolean
}

const large = 'x'.repeat(200_000)
const lengthOf = (body: string): string[] => ['Content-Length', String(body.length)]
const answers: Readonly<Record<string, (res: ResponseWriter) => unknown>> = {
  '/small': (res) => {
    res.writeHead(200, [...lengthOf('body'), 'A', 'b c'])
    res.end('body', 'latin1')
  },
  '/latin1': (res) => {
    res.writeHead(200, lengthOf('\xe9'))
    res.end('\xe9', 'latin1')
  },
  '/large': (res) => {
    res.writeHead(200, lengthOf(large))
    res.end(large, 'latin1')
  },
  '/bytes': (res) => {
    res.writeHead(200, lengthOf('body'))
    res.end(Buffer.from('body'))
  },
  '/304': (res) => {
    res.writeHead(304, ['ETag', '"a"'])
    res.end(undefined)
  },
  '/set-before': (res) => {
    res.setHeader('A', 1)
    res.appendHeader('A', '2')
    res.writeHead(200, [...lengthOf('body'), 'B', 'c'])
    res.end('body', 'latin1')
  },
  '/no-length': (res) => {
    res.writeHead(200, ['A', 'b'])
    res.end('body', 'latin1')
  },
  '/latin1-field': (res) => {
    res.writeHead(200, [...lengthOf('body'), 'A', '\xe9'])
    res.end('body', 'latin1')
  },
  '/line-break': (res) => {
    try {
      res.writeHead(200, [...lengthOf('body'), 'A', 'b\r\nC: d'])
      res.end('body', 'latin1')
    } catch (thrown) {
      sendError(res, ProxyError.from(thrown))
    }
  },
  '/error': (res) => sendError(res, new ProxyError('not_found')),
}

const ends: End[] = []
const held: ResponseWriter[] = []
const servers = [createServer(), createServer()] as const
let ports: number[]

function serve(url = '', res: ResponseWriter): void {
  res.once('close', () => ends.push({ url, status: res.statusCode, isTaken: res.writableFinished }))
  const answer = answers[url.split('?')[0] ?? '']
  if (answer) answer(res)
  else held.push(res)
}

/** Of the requests with these targets, once so many are over. */
async function endsOf(query: string, count: number): Promise<Omit<End, 'url'>[]> {
  const of = (): End[] => ends.filter(({ url }) => url.endsWith(query))
  while (of().length < count) await nextTurn()
  return of().map(({ status, isTaken }) => ({ status, isTaken }))
}

beforeAll(async () => {
  openFastLane(servers[0], { serve: ({ url }, exchange) => serve(url, new LaneResponse(exchange)) })
  servers[1].on('request', ({ url }, res) => serve(url, res))
  for (const server of servers) server.keepAliveTimeout = 30_000
  ports = await Promise.all(servers.map((server) => listen(server, { port: 0, host: '127.0.0.1' })))
})
afterAll(() => {
  for (const server of servers) server.close().closeAllConnections()
})

describe('is answered as by a ServerResponse', () => {
  test.each(Object.keys(answers))('%s', async (target) => {
    const said: unknown[] = []
    for (const port of ports) {
      const got = await converse(port, get(target), { answers: 1 })
      said.push(got.answers.map(({ head, body }) => [fieldsOf(head), body]))
    }
    expect(said[0]).toEqual(said[1])
  })
})

/** Without what differs by the second, in any order. */
function fieldsOf(head: string): string[] {
  return head
    .replace(/date: .*/i, '')
    .split('\r\n')
    .toSorted()
}

test.each([
  ['by the lane', 0],
  ['by node:http', 1],
])('a client that leaves while it waits is told of once, and has taken nothing: %s', async (_by, at) => {
  held.length = 0
  const client = connect({ port: ports[at] as number, host: '127.0.0.1' })
  await once(client, 'connect')
  client.write(get(`/held?left-${at}`))
  while (held.length === 0) await nextTurn()
  client.destroy()
  const [end] = await endsOf(`?left-${at}`, 1)
  const [res] = held
  // What is still said goes nowhere.
  answers['/small']?.(res as ResponseWriter)
  answers['/error']?.(res as ResponseWriter)
  expect([res?.destroyed, end?.isTaken]).toEqual([true, false])
  expect(await endsOf(`?left-${at}`, 1)).toHaveLength(1)
})

test('an answer is taken once, with its status', async () => {
  for (const target of ['/304?taken', '/large?taken', '/error?taken']) {
    await converse(ports[0] as number, get(target), { answers: 1 })
  }
  const taken = (await endsOf('?taken', 3)).toSorted((one, other) => one.status - other.status)
  expect(taken).toEqual([200, 304, 404].map((status) => ({ status, isTaken: true })))
})
