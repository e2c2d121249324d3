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
      upstreams: 'answer_timeout_seconds = 1',
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

  test.each<[string, AskOptions]>([
    ['/post', { method: 'POST', body: 'x' }],
    ['/put', { method: 'PUT' }],
    ['/get-with-a-body', { method: 'GET', body: 'x', headers: { 'Content-Length': '1' } }],
    ['/events', { headers: { Accept: 'text/event-stream' } }],
    ['/jobs/1', {}],
    ['/off', {}],
  ])('%s is not asked a second time', async (path, options) => {
    const { status } = await ask(edge.port, path, options)
    expect([status, seen()]).toEqual([504, 1])
  })
})

test('a backend that its checks find unhealthy frees what waits for it', async () => {
  const ill = await RecordingBackend.start((request, socket) => {
    if (request.target === '/readyz' && !hangs) echo(request, socket)
  })
  const well = await RecordingBackend.start()
  let hangs = false
  await using edge = await startEdge({
    backends: [ill.port, well.port],
    tables: '[health]\npath = "/readyz"\ninterval_seconds = 0.2\ntimeout_ms = 300\n[retry]\nhedge_after_ms = 0',
  })
  await until(() => ill.requests.length > 0)
  hangs = true
  const answers = await Promise.all(['/1', '/2', '/3', '/4'].map((path) => ask(edge.port, path)))
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
  expect(ill.requests.filter(({ target }) => target !== '/readyz').length).toBeGreaterThan(0)
  await Promise.all([ill[Symbol.asyncDispose](), well[Symbol.asyncDispose]()])
})
