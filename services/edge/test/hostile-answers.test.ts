import type { Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { converse, type Conversation } from '@ipfleet/testing/raw-conversation.ts'
import { echo, RecordingBackend, type SeenRequest } from '@ipfleet/testing/recording-backend.ts'
import { until } from '@ipfleet/testing/until.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { ask } from './ask.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'

/** Backends that answer what makes no sense, or more than was asked: nobody gets it, least of all somebody else. */
let backend: RecordingBackend
let edge: RunningEdge
beforeAll(async () => {
  backend = await RecordingBackend.start()
  const upstreams = 'answer_timeout_seconds = 10\nidle_timeout_seconds = 10'
  edge = await startEdge({
    backends: [backend.port],
    upstreams,
    tables: '[retry]\nattempts = 0\n[ejection]\nfailures = 0',
  })
})
afterAll(async () => {
  await edge.stop()
  await backend[Symbol.asyncDispose]()
})
beforeEach(() => backend.forget())
afterEach(expectOwnAnswers)

/** Whatever it was, the next requests get their own answers. */
async function expectOwnAnswers(): Promise<void> {
  backend.answer = echo
  for (const path of ['/after/1', '/after/2']) {
    const { status, body } = await ask(edge.port, path)
    expect([status, JSON.parse(body)]).toEqual([200, expect.objectContaining({ target: path })])
  }
}

/** Writes this to every request. */
function answerWith(bytes: string, then: (socket: Socket) => void = () => {}): void {
  backend.answer = (_request, socket) => {
    socket.write(Buffer.from(bytes, 'latin1'))
    then(socket)
  }
}

const get = 'GET /asked HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
const again = 'GET /again HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
const ok = (lines: string, body = ''): string => `HTTP/1.1 200 OK\r\n${lines}\r\n\r\n${body}`
const poison = ok('Content-Length: 6', 'poison')

function expectBadGateway({ answers, rest, end }: Conversation, status = 502): void {
  expect([answers.length, rest, end]).toEqual([1, '', 'closed'])
  expect(answers[0]?.status).toBe(status)
  expect(answers[0]?.head).toContain('content-type: application/json')
  expect(JSON.parse(answers[0]?.body ?? '')).toMatchObject({ status, error: { title: expect.any(String) } })
}

describe('an answer that can be read in two ways, or in none, is 502 as JSON', () => {
  test.each<[string, string]>([
    ['Content-Length and Transfer-Encoding', ok('Content-Length: 6\r\nTransfer-Encoding: chunked', '0\r\n\r\n')],
    ['Transfer-Encoding and Content-Length', ok('Transfer-Encoding: chunked\r\nContent-Length: 6', '0\r\n\r\n')],
    ['two lengths', ok('Content-Length: 6\r\nContent-Length: 0', 'poison')],
    ['the same length twice', ok('Content-Length: 6\r\nContent-Length: 6', 'poison')],
    ['a list of lengths', ok('Content-Length: 6, 6', 'poison')],
    ['a length with a sign', ok('Content-Length: +6', 'poison')],
    ['a negative length', ok('Content-Length: -6', 'poison')],
    ['a length in hexadecimal', ok('Content-Length: 0x6', 'poison')],
    ['a length of 20 digits', ok('Content-Length: 18446744073709551622', 'poison')],
    ['an empty length', ok('Content-Length:', 'poison')],
    ['a length with a blank before the colon', ok('Content-Length : 6', 'poison')],
    ['two codings', ok('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', '0\r\n\r\n')],
    ['a list of codings', ok('Transfer-Encoding: gzip, chunked', '0\r\n\r\n')],
    ['a coding nobody knows', ok('Transfer-Encoding: xchunked', '0\r\n\r\n')],
    ['a folded field', ok('X-A: b\r\n c\r\nContent-Length: 0')],
    ['a field without a colon', ok('X-A\r\nContent-Length: 0')],
    ['a field without a name', ok(': b\r\nContent-Length: 0')],
    ['a field name with a blank', ok('X A: b\r\nContent-Length: 0')],
    ['a bare CR in a value', ok('X-A: b\rX-B: c\r\nContent-Length: 0')],
    ['a NUL in a value', ok('X-A: b\0c\r\nContent-Length: 0')],
    ['a field folded behind a bare LF', ok('X-A: b\n c\r\nContent-Length: 0')],
    ['two lengths, one behind a bare LF', ok('Content-Length: 6\nContent-Length: 0', 'poison')],
    ['a coding behind a bare LF', ok('Content-Length: 6\nTransfer-Encoding: chunked', '0\r\n\r\n')],
    ['a bare CR as a line end', 'HTTP/1.1 200 OK\rContent-Length: 0\r\r'.concat('\r\n\r\n')],
    ['no status', 'HTTP/1.1\r\nContent-Length: 0\r\n\r\n'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n'],
    ['a status of four digits', 'HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n'],
    ['a status of 099', 'HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n'],
    ['a version in lower case', 'http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
    ['HTTP/2', 'HTTP/2 200\r\ncontent-length: 0\r\n\r\n'],
    ['a blank line first', ` \r\n${ok('Content-Length: 0')}`],
    ['a page without a head', '<html><body>poison</body></html>\r\n\r\n'],
    ['a greeting of another protocol', 'SSH-2.0-OpenSSH_9.2p1\r\n'],
    ['an alert of TLS', '\x15\x03\x01\x00\x02\x02\x16'],
    ['a switch of protocols that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\npoison'],
    ['a switch to h2c', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'],
    ['a head of 70 KB', ok(`X-A: ${'x'.repeat(70_000)}\r\nContent-Length: 0`)],
    ['70 KB of fields without an end', `HTTP/1.1 200 OK\r\n${'X-A: b\r\n'.repeat(9_000)}`],
    ['70 KB of nothing', 'HTTP/1.1 200 OK\r\nX-A: '.padEnd(70_000, 'x')],
    ['a hundred interim answers', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(100)],
  ])('%s', async (_what, bytes) => {
    answerWith(bytes)
    const conversation = await converse(edge.port, get)
    // Interim answers are passed on as they come.
    const final = conversation.answers.filter(({ status }) => status >= 200)
    expectBadGateway({ ...conversation, answers: final })
    expect(conversation.bytes).not.toContain('poison')
  })

  test('fields that never end: one head is not waited for longer than an answer', async () => {
    answerWith('HTTP/1.1 200 OK\r\n', (socket) => {
      const dripping = setInterval(() => socket.write('X-A: b\r\n'), 50)
      socket.on('close', () => clearInterval(dripping))
    })
    expectBadGateway(await converse(edge.port, get), 504)
  })
})

describe('a body that goes wrong after its head has been passed on is not taken for a whole one', () => {
  const chunked = 'Transfer-Encoding: chunked'

  test.each<[string, string]>([
    ['a chunk size that is none', ok(chunked, '5\r\nhello\r\nx\r\n\r\n')],
    ['a chunk longer than its size', ok(chunked, '5\r\nhello world\r\n0\r\n\r\n')],
    ['a bare LF after a chunk size', ok(chunked, '5\nhello\r\n0\r\n\r\n')],
    ['a chunk size beyond 64 bits', ok(chunked, '10000000000000005\r\nhello\r\n0\r\n\r\n')],
    ['an extension of 5 KB', ok(chunked, `5;${'x'.repeat(5000)}\r\nhello\r\n0\r\n\r\n`)],
    ['trailers of 20 KB', ok(chunked, `5\r\nhello\r\n0\r\nX-A: ${'x'.repeat(20_000)}\r\n\r\n`)],
    ['a folded trailer', ok(chunked, '5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n')],
  ])('%s', async (_what, bytes) => {
    answerWith(bytes)
    const { answers, end } = await converse(edge.port, get)
    // Chunks without the last one.
    expect(answers).toEqual([])
    expect(end).not.toBe('open')
  })

  test('an end before the length is reached', async () => {
    answerWith(ok('Content-Length: 10', 'hello'), (socket) => socket.end())
    const { answers, rest } = await converse(edge.port, get)
    expect([answers, rest.endsWith('hello')]).toEqual([[], true])
  })
})

describe('more than was asked for is nobody’s answer', () => {
  const chunks = '4\r\nmine\r\n0\r\n\r\n'
  const extras: readonly (readonly [string, string, string])[] = [
    ['a second answer', ok('Content-Length: 4', 'mine') + poison, 'mine'],
    ['a second answer after chunks', ok('Transfer-Encoding: chunked', `${chunks}${poison}`), chunks],
    ['a second answer after one without a body', `HTTP/1.1 204 No Content\r\n\r\n${poison}`, ''],
    ['a second answer after 304', `HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n${poison}`, ''],
    ['a body longer than its length', ok('Content-Length: 4', 'minepoison'), 'mine'],
    ['a body where there can be none', 'HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\npoison', ''],
    ['an interim answer after the answer', `${ok('Content-Length: 4', 'mine')}HTTP/1.1 100 Continue\r\n\r\n`, 'mine'],
    ['half of a second answer', `${ok('Content-Length: 4', 'mine')}HTTP/1.1 200 OK\r\nX: poison`, 'mine'],
    ['a line end too many', `${ok('Content-Length: 4', 'mine')}\r\n`, 'mine'],
  ]

  test.each(extras)('%s, in one packet', async (_what, bytes, body) => {
    answerWith(bytes)
    const first = await converse(edge.port, get)
    expect(first.answers.map((answer) => answer.body)).toEqual([body])
    expect(first.bytes).not.toContain('poison')
    backend.answer = echo
    expect((await converse(edge.port, again)).bytes).not.toContain('poison')
    const connections = backend.requests.map(({ connection }) => connection)
    expect(new Set(connections).size).toBe(connections.length)
  })

  test('a body in answer to HEAD', async () => {
    answerWith(ok('Content-Length: 6', 'poison'))
    const { bytes } = await converse(edge.port, get.replace('GET', 'HEAD'))
    expect(bytes).toMatch(/content-length: 6\r\n/i)
    expect(bytes).not.toContain('poison')
  })

  test('an answer that comes when nobody asks: its connection is given up', async () => {
    const sockets = new Set<Socket>()
    backend.answer = (request, socket) => {
      sockets.add(socket)
      echo(request, socket)
    }
    await ask(edge.port, '/asked')
    const [kept] = sockets
    kept?.write(poison)
    await until(() => kept?.readableEnded === true || kept?.destroyed === true)
    expect((await converse(edge.port, again)).bytes).not.toContain('poison')
    expect(sockets.size).toBe(2)
  })

  test('an answer to a client that has left goes to nobody', async () => {
    const asked = Promise.withResolvers<Socket>()
    backend.answer = (_request, socket) => asked.resolve(socket)
    const client = await Wire.to(edge.port)
    client.write(get)
    const socket = await asked.promise
    client.destroy()
    await until(() => socket.destroyed || socket.readableEnded)
    backend.answer = echo
    if (!socket.destroyed) socket.write(poison)
    expect((await converse(edge.port, again)).bytes).not.toContain('poison')
  })
})

test('a field that Connection names is taken out, its body stays as long as it was', async () => {
  answerWith(ok('Connection: Content-Length, X-Hop\r\nX-Hop: 1\r\nContent-Length: 4', 'mine'))
  const { answers, rest } = await converse(edge.port, get)
  expect([answers.length, rest]).toEqual([1, ''])
  expect(answers[0]?.head).not.toContain('x-hop')
  expect(answers[0]?.body).toContain('mine')
})

test('among many clients and a backend that misbehaves now and then, each gets its own answer or an error', async () => {
  const misdeeds: readonly ((request: SeenRequest, socket: Socket) => void)[] = [
    echo,
    echo,
    echo,
    (request, socket) => {
      socket.cork()
      echo(request, socket)
      socket.write(poison)
      socket.uncork()
    },
    (_request, socket) => socket.write(ok('Content-Length: 6\r\nContent-Length: 0', 'poison')),
    (_request, socket) => socket.destroy(),
    (_request, socket) => socket.resetAndDestroy(),
    (request, socket) => {
      echo(request, socket)
      socket.end()
    },
    (_request, socket) => socket.write('garbage\r\n\r\n'),
    (_request, socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
  ]
  let turn = 0
  backend.answer = (request, socket) => misdeeds[turn++ % misdeeds.length]?.(request, socket)
  const outcomes: string[] = []
  const client = async (name: number): Promise<void> => {
    for (let round = 0; round < 50; round += 1) {
      const path = `/client/${name}/${round}`
      const { status, body } = await ask(edge.port, path)
      outcomes.push(status === 200 ? String((JSON.parse(body) as SeenRequest).target === path) : String(status))
    }
  }
  await Promise.all(Array.from({ length: 10 }, (_, name) => client(name)))
  expect(new Set(outcomes)).toEqual(new Set(['true', '502']))
  expect(outcomes.filter((outcome) => outcome === 'true').length).toBeGreaterThan(200)
})
