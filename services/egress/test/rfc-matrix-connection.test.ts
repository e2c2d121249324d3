import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { converse } from '@ipfleet/testing/raw-conversation.ts'
import { RecordingBackend, valuesOf } from '@ipfleet/testing/recording-backend.ts'
import { type RunningEgress, startEgress } from './start-egress.ts'

/** Connections of clients, which stay, and those to origins, which serve one request each. */
let origin: RecordingBackend
let egress: RunningEgress
beforeAll(async () => {
  origin = await RecordingBackend.start((request, socket) => {
    const answer = (): void => {
      const body = `${request.method} ${request.target} ${request.body}`.trim()
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
    }
    // Long enough for those behind it to overtake it.
    if (request.target.startsWith('/slow')) setTimeout(answer, 200)
    else answer()
  })
  egress = await startEgress()
})
beforeEach(() => origin.forget())
afterAll(async () => {
  await egress.stop()
  await origin[Symbol.asyncDispose]()
})

const get = (path: string, ...fields: readonly string[]): string =>
  [`GET http://127.0.0.1:${origin.port}${path} HTTP/1.1`, 'Host: a', ...fields, '', ''].join('\r\n')
const last = (path: string): string => get(path, 'Connection: close')

test('a client keeps its connection over many requests, each of which goes out on one of its own', async () => {
  const paths = Array.from({ length: 30 }, (_, number) => `/${number}`)
  const { answers, end } = await converse(egress.port, paths.map((path) => get(path)).join('') + last('/last'))
  expect([answers.map(({ body }) => body), end]).toEqual([[...paths, '/last'].map((path) => `GET ${path}`), 'closed'])
  expect(new Set(origin.requests.map(({ connection }) => connection)).size).toBe(31)
  expect(origin.requests.flatMap((request) => valuesOf(request, 'Connection'))).toEqual(Array(31).fill('close'))
  expect(egress.output()).not.toContain('MaxListeners')
})

describe('several requests before the first answer', () => {
  test('are answered in their order, whichever could be first', async () => {
    const { answers } = await converse(egress.port, get('/slow1') + get('/2') + get('/slow3') + get('/4') + last('/5'))
    expect(answers.map(({ body }) => body)).toEqual(['/slow1', '/2', '/slow3', '/4', '/5'].map((path) => `GET ${path}`))
  })

  test('may be many in one write', async () => {
    const paths = Array.from({ length: 300 }, (_, number) => `/${number}`)
    const { answers } = await converse(egress.port, paths.map((path) => get(path)).join('') + last('/last'), {
      patienceMs: 30_000,
    })
    expect(answers.map(({ body }) => body)).toEqual([...paths, '/last'].map((path) => `GET ${path}`))
  })

  test('reach origins in their order, too: none overtakes one that changes something', async () => {
    const post = `POST http://127.0.0.1:${origin.port}/slow HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody`
    const { answers } = await converse(egress.port, post + last('/next'))
    expect(answers.map(({ body }) => body)).toEqual(['POST /slow body', 'GET /next'])
    expect(origin.requests.map(({ target }) => target)).toEqual(['/slow', '/next'])
  })

  test('have no body of one taken for the next', async () => {
    const body = get('/body')
    const post = `POST http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    const { answers } = await converse(egress.port, post + last('/next'))
    expect(answers).toHaveLength(2)
    expect(origin.requests.map(({ target }) => target)).toEqual(['/', '/next'])
  })

  test('are acted on up to the first that is malformed, and not beyond it', async () => {
    const { answers, end } = await converse(egress.port, get('/slow') + get('/bad', 'Host: b') + get('/never'))
    expect([answers.map(({ status }) => status), end]).toEqual([[200, 400], 'closed'])
    expect(origin.requests.map(({ target }) => target)).toEqual(['/slow'])
  })
})

test('bytes that come one by one are a request all the same', async () => {
  const { answers } = await converse(egress.port, last('/bit-by-bit'), { dribble: true })
  expect(answers.map(({ body }) => body)).toEqual(['GET /bit-by-bit'])
})

describe('HTTP/1.0', () => {
  test('has one request on a connection', async () => {
    const { bytes, end } = await converse(egress.port, `GET http://127.0.0.1:${origin.port}/old HTTP/1.0\r\n\r\n`)
    expect(bytes).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\nConnection: close\r\n.*GET \/old$/s)
    expect(end).toBe('closed')
  })

  test('has more when the client asks for it', async () => {
    const line = `GET http://127.0.0.1:${origin.port}/1 HTTP/1.0\r\n`
    const { answers } = await converse(
      egress.port,
      `${line}Connection: keep-alive\r\n\r\n${line.replace('/1 ', '/2 ')}\r\n`,
    )
    expect(answers.map(({ body }) => body)).toEqual(['GET /1', 'GET /2'])
    expect(answers[0]?.head).toContain('connection: keep-alive')
  })
})
