import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { echo, RecordingBackend, type SeenRequest } from '@ipfleet/testing/recording-backend.ts'
import { until } from '@ipfleet/testing/until.ts'
import { ask, type AskOptions } from './ask.ts'
import { startEchoBackend } from './start-echo-backend.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'

/** A backend that says nothing costs nobody the whole answer_timeout_seconds. */

test('a replica that is stopped behind the edge, 60 GETs a second: none fails', async () => {
  const backends = await Promise.all([startEchoBackend(), startEchoBackend(), startEchoBackend()])
  const [hangs] = backends
  await using edge = await startEdge({ backends: backends.map(({ port }) => port), tables: '' })
  const asked: Promise<{ readonly status: number; readonly waitedMs: number }>[] = []
  const get = async () => {
    const startedMs = performance.now()
    const { status } = await ask(edge.port, '/8.8.8.8')
    return { status, waitedMs: Math.round(performance.now() - startedMs) }
  }
  try {
    for (let turn = 0; turn < 360; turn += 1) {
      if (turn === 60) hangs.kill('SIGSTOP')
      asked.push(get())
      await sleep(1000 / 60)
    }
    const answers = await Promise.all(asked)
    const worstMs = Math.max(...answers.map(({ waitedMs }) => waitedMs))
    process.stdout.write(`a stopped replica: ${answers.length} GETs, the worst waited ${worstMs} ms\n`)
    expect(answers.filter(({ status }) => status !== 200)).toEqual([])
    expect(worstMs).toBeLessThan(10_000)
  } finally {
    hangs.kill('SIGCONT')
    await Promise.all(backends.map((backend) => backend.stop()))
  }
})

describe('of two backends, the first of which is silent', () => {
  let silent: RecordingBackend
  let prompt: RecordingBackend
  let edge: RunningEdge
  beforeAll(async () => {
    silent = await RecordingBackend.start((request, socket) => answerLate(request, socket))
    prompt = await RecordingBackend.start((request, socket) => {
      // The second one that is asked answers, the first never does, whichever it is.
      if (silent.requests.some(({ target }) => target === request.target)) echo(request, socket)
    })
    edge = await startEdge({
      backends: [silent.port, prompt.port],
      tables: `
[ejection]
failures = 0
[retry]
hedge_after_ms = 300
[rate_limit]
max_requests = 1000
[[routes]]
prefix = "/off"
upstreams = "default"
hedge_after_ms = 0`,
      upstreams: 'answer_timeout_seconds = 10',
    })
  })
  afterAll(async () => {
    await edge.stop()
    await silent[Symbol.asyncDispose]()
    await prompt[Symbol.asyncDispose]()
  })
  beforeEach(() => {
    silent.forget()
    prompt.forget()
  })

  function answerLate(request: SeenRequest, socket: Socket): void {
    if (prompt.requests.some(({ target }) => target === request.target)) echo(request, socket)
  }

  const seen = (): number => silent.requests.length + prompt.requests.length

  test.each<[string, AskOptions]>([
    ['/get', {}],
    ['/head', { method: 'HEAD' }],
    ['/off-not', {}],
    ['/jobsite', {}],
  ])('%s is asked of the other, once of the limit, and the silent one is let go', async (path, options) => {
    const first = await ask(edge.port, path, options)
    expect([first.status, seen()]).toEqual([options.method === 'HEAD' ? 204 : 200, 2])
    const second = await ask(edge.port, `${path}/again`, options)
    const left = [first, second].map(({ headers }) => Number(headers['x-rate-limit-remaining']))
    expect((left[0] ?? 0) - (left[1] ?? 0)).toBe(1)
    await until(() => silent.openConnections + prompt.openConnections <= 2)
  })

  test('what may change something, has a body or is a long answer is not asked a second time, nor where it is off', async () => {
    const once: readonly (readonly [string, AskOptions])[] = [
      ['/post', { method: 'POST', body: 'x' }],
      ['/put', { method: 'PUT' }],
      ['/get-with-a-body', { method: 'GET', body: 'x', headers: { 'Content-Length': '1' } }],
      ['/events', { headers: { Accept: 'text/event-stream' } }],
      ['/jobs/1', {}],
      ['/off', {}],
    ]
    const replies = await Promise.all(once.map(([path, options]) => ask(edge.port, path, options)))
    expect(replies.map(({ status }) => status)).toEqual(once.map(() => 504))
    const seenPaths = [...silent.requests, ...prompt.requests].map(({ target }) => target)
    expect(seenPaths.toSorted()).toEqual(once.map(([path]) => path).toSorted())
  })
})

const told = (port: number) => (line: { readonly msg?: unknown; readonly backend?: unknown }) =>
  line.msg === 'backend is unhealthy' && String(line.backend).endsWith(`:${port}`)

test('a backend that its checks find unhealthy frees what waits for it, as soon as there is another one, unless that is off', async () => {
  const healthy = { first: true, second: false }
  const held: (() => void)[] = []
  const answerAs = (name: keyof typeof healthy) => (request: SeenRequest, socket: Socket) => {
    if (request.target !== '/readyz') {
      if (name === 'second') echo(request, socket)
      else held.push(() => echo(request, socket))
    } else if (healthy[name]) echo(request, socket)
    else socket.write('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n')
  }
  const first = await RecordingBackend.start(answerAs('first'))
  const second = await RecordingBackend.start(answerAs('second'))
  await using edge = await startEdge({
    backends: [first.port, second.port],
    tables:
      '[health]\npath = "/readyz"\ninterval_seconds = 0.2\ntimeout_ms = 20000\n[retry]\nhedge_after_ms = 60000\n[[routes]]\nprefix = "/off"\nupstreams = "default"\nhedge_after_ms = 0',
  })
  await edge.waitForLine(told(second.port))
  const askedOnce = ['/off', '/jobs/1'].map((path) => ask(edge.port, path))
  await until(() => held.length === 2)
  const answers = ['/1', '/2', '/3', '/4'].map((path) => ask(edge.port, path))
  await until(() => held.length === 6)
  healthy.first = false
  await edge.waitForLine(told(first.port))
  healthy.second = true
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 200, 200])
  for (const answer of held) answer()
  expect((await Promise.all(askedOnce)).map(({ status }) => status)).toEqual([200, 200])
  expect(second.requests.filter(({ target }) => /^\/(?:off|jobs)/.test(target))).toEqual([])
  await Promise.all([first[Symbol.asyncDispose](), second[Symbol.asyncDispose]()])
})
