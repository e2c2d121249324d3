import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { converse } from '@ipfleet/testing/raw-conversation.ts'
import { RecordingBackend } from '@ipfleet/testing/recording-backend.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'

/** Several requests on one connection before the first answer. */
let backend: RecordingBackend
let edge: RunningEdge
beforeAll(async () => {
  backend = await RecordingBackend.start((request, socket) => {
    const answer = (): void => {
      const body = `${request.method} ${request.target} ${request.body}`
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
    }
    // Long enough for those behind it to overtake it.
    if (request.target.startsWith('/slow')) setTimeout(answer, 200)
    else answer()
  })
  edge = await startEdge({ backends: [backend.port] })
})
afterAll(async () => {
  await edge.stop()
  await backend[Symbol.asyncDispose]()
})
beforeEach(() => backend.forget())

const get = (path: string, ...fields: string[]): string =>
  [`GET ${path} HTTP/1.1`, 'Host: a', ...fields, '', ''].join('\r\n')
const last = (path: string): string => get(path, 'Connection: close')

test('answers come in the order of the requests, whichever could be first', async () => {
  const { answers, end } = await converse(edge.port, get('/slow1') + get('/2') + get('/slow3') + get('/4') + last('/5'))
  expect(answers.map(({ body }) => body.trim())).toEqual(
    ['/slow1', '/2', '/slow3', '/4', '/5'].map((path) => `GET ${path}`),
  )
  expect(end).toBe('closed')
})

test('a body is not taken for the next request', async () => {
  const body = get('/body')
  const post = `POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const { answers } = await converse(edge.port, post + last('/next'))
  expect(answers.map((answer) => answer.body.trim())).toEqual([`POST /slow ${body}`.trim(), 'GET /next'])
})

test('a switch of protocols that is asked for behind an unanswered request is not made, and harms nobody', async () => {
  const { answers } = await converse(edge.port, get('/slow') + get('/ws', 'Connection: Upgrade', 'Upgrade: websocket'))
  expect(answers.map(({ body }) => body.trim())).toEqual(['GET /slow', 'GET /ws'])
  expect(JSON.stringify(backend.requests)).not.toMatch(/upgrade/i)
  expect((await converse(edge.port, last('/still-there'))).answers).toHaveLength(1)
})

test.each([200, 1000])('%i requests in one write are all answered, in turn', async (count) => {
  const paths = Array.from({ length: count }, (_, index) => `/${index}`)
  const { answers, end } = await converse(edge.port, paths.map((path) => get(path)).join('') + last('/last'))
  expect(answers.map(({ body }) => body.trim())).toEqual([...paths, '/last'].map((path) => `GET ${path}`))
  expect(end).toBe('closed')
})
