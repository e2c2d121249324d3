import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { RecordingBackend } from '@ipfleet/testing/recording-backend.ts'
import { until } from '@ipfleet/testing/until.ts'
import { ask } from './ask.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'

/** Who answers what: the groups, by path, and the edge itself. */
let replicas: RecordingBackend
let bulk: RecordingBackend
let edge: RunningEdge
function answerAs(name: string): Promise<RecordingBackend> {
  const answer = `HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n${name}`
  return RecordingBackend.start((_request, socket) => void socket.write(answer))
}
beforeAll(async () => {
  replicas = await answerAs('main')
  bulk = await answerAs('bulk')
  edge = await startEdge({
    backends: [replicas.port],
    server: 'max_body_bytes = 10',
    tables: `
      [groups.bulk]
      backends = ["http://127.0.0.1:${bulk.port}"]
      [[routes]]
      prefix = "/jobs"
      upstreams = "bulk"
      max_body_bytes = 20
      [[routes]]
      prefix = "/jobs/files"
      upstreams = "bulk"
      max_body_bytes = 0
      [[routes]]
      prefix = "/jobs/status"
      upstreams = "default"`,
  })
})
afterAll(async () => {
  await edge.stop()
  await replicas[Symbol.asyncDispose]()
  await bulk[Symbol.asyncDispose]()
})
beforeEach(() => {
  replicas.forget()
  bulk.forget()
})

describe('a route', () => {
  test.each([
    ['/jobs', 'bulk'],
    ['/jobs?x=/', 'bulk'],
    ['/jobs/7', 'bulk'],
    ['/jobs/status/7', 'main'],
    ['/jobs/statuses', 'bulk'],
    ['/jobsite', 'main'],
    ['/JOBS', 'main'],
    ['/x/jobs', 'main'],
    ['/?/jobs', 'main'],
    ['/', 'main'],
  ])('%s goes to %s, as it is', async (path, name) => {
    expect(await ask(edge.port, path)).toMatchObject({ status: 200, body: name })
    const [seen] = [...replicas.requests, ...bulk.requests]
    expect(seen?.target).toBe(path)
  })

  test.each([
    ['/', 10, 200],
    ['/', 11, 413],
    ['/jobs', 20, 200],
    ['/jobs', 21, 413],
    ['/jobs/files', 2000, 200],
    ['/jobs/status', 11, 413],
  ])('%s takes as much as it is given leave for: %i bytes are %i', async (path, length, status) => {
    const body = 'x'.repeat(length)
    expect((await ask(edge.port, path, { method: 'POST', body })).status).toBe(status)
    // Not announced, it shows only as it comes.
    const chunked = await ask(edge.port, path, { method: 'POST', body, headers: { 'transfer-encoding': 'chunked' } })
    expect(chunked.status).toBe(status)
    expect(chunked.body).toContain(status === 200 ? '' : 'The body is over the limit')
  })
})

describe('the metrics', () => {
  test('are there for who may read them, and what the configuration hides is there for nobody', async () => {
    const { status, headers, body } = await ask(edge.port, '/metrics')
    expect([status, headers['content-type']]).toEqual([200, expect.stringContaining('text/plain')])
    expect(body).toMatch(/^ipfleet_edge_open_connections \d+$/m)
    expect((await ask(edge.port, '/metrics?name=x')).status).toBe(200)
    expect((await ask(edge.port, '/metrics', { method: 'HEAD' })).body).toBe('')
    const refused = await ask(edge.port, '/metrics', { method: 'DELETE' })
    expect([refused.status, refused.headers.allow]).toEqual([405, 'GET, HEAD'])
    for (const path of ['/metrics/x', '/stats', '/admin/keys', '/STATS']) {
      expect([path, (await ask(edge.port, path)).status]).toEqual([path, 404])
    }
    expect([replicas.requests, bulk.requests]).toEqual([[], []])
  })

  test('are what is behind for everybody else', async () => {
    const allow = '[metrics]\nendpoint = "/own"\nallow = ["203.0.113.0/24"]'
    await using strict = await startEdge({ backends: [replicas.port], tables: allow })
    expect((await ask(strict.port, '/own')).body).toBe('main')
    expect((await ask(strict.port, '/metrics')).status).toBe(404)
  })
})

describe('the probe', () => {
  test('says that the edge can serve, with no backend asked', async () => {
    const { status, headers, body } = await ask(edge.port, '/edge/readyz')
    expect([status, body, headers['cache-control']]).toEqual([200, '{"status":"ok"}\n', 'no-store'])
    expect([replicas.requests, bulk.requests]).toEqual([[], []])
  })

  test('says so when no backend is left', async () => {
    const tables = '[health]\npath = "/health"\ninterval_seconds = 0.05\nunhealthy_after = 1\nhealthy_after = 1'
    await using soleProcessDeps = await startEdge({ backends: [1], tables, server: 'probe_endpoint = "/up"' })
    const unready = await until(async () => {
      const reply = await ask(soleProcessDeps.port, '/up')
      return reply.status === 503 && reply
    })
    expect(unready.body).toBe('{"status":"unavailable"}\n')
    const refused = await ask(soleProcessDeps.port, '/')
    expect([refused.status, Number(refused.headers['retry-after'])]).toEqual([503, expect.any(Number)])
  })
})
