import { converse } from '@ipfleet/testing/raw-conversation.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { addressLines, type Answer, ApiHarness } from './api-harness.ts'

/** Jobs over HTTP: made, listed, looked at, cancelled and removed. */
let harness: ApiHarness
beforeAll(async () => {
  harness = await ApiHarness.start()
})
afterAll(() => harness[Symbol.asyncDispose]())

const unknownId = '019a0000-0000-7000-8000-000000000000'

const idsIn = (answer: Answer): string[] => answer.json().jobs.map(({ id }: { id: string }) => id)

describe('a job', () => {
  test('is made of a body: 202, Location, and its JSON', async () => {
    const answer = await harness.post('8.8.8.8\n1.1.1.1\n')
    expect(answer.status).toBe(202)
    const job = answer.json()
    expect(answer.headers.location).toBe(`/jobs/${job.id}`)
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(job).toEqual({
      id: expect.stringMatching(/^[\da-f-]{36}$/),
      state: 'queued',
      created: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      lines: { total: 2, done: 0, answered: 0, errors: 0, cached: 0 },
      bytes: expect.any(Number),
      results: `/jobs/${job.id}/results`,
      events: `/jobs/${job.id}/events`,
      report: expect.stringMatching(new RegExp(`^/jobs/${job.id}/report/[\\w-]{22,}$`)),
    })
    expect(harness.submitted.at(-1)).toBe(job.id)
    expect((await harness.ask(`/jobs/${job.id}`)).json()).toEqual(job)
  })

  test('tells how it goes', async () => {
    const id = await harness.job(1500)
    await harness.finish(id, 0)
    expect((await harness.ask(`/jobs/${id}`)).json()).toMatchObject({
      state: 'running',
      started: expect.any(String),
      lines: { total: 1500, done: 1000, answered: 1000 },
      rate: expect.any(Number),
      eta_seconds: expect.any(Number),
    })
    await harness.finish(id, 1)
    expect((await harness.ask(`/jobs/${id}`)).json()).toMatchObject({
      state: 'completed',
      finished: expect.any(String),
      expires: expect.any(String),
      lines: { total: 1500, done: 1500 },
    })
  })

  test.each([
    ['a JSON array', 'application/json', '["8.8.8.8","x"]', ''],
    ['NDJSON', 'application/x-ndjson', '"8.8.8.8"\n{"ip":"x"}\n', ''],
    ['CSV', 'text/csv', 'name,addr\na,8.8.8.8\nb,x\n', '?column=addr'],
    ['TSV', 'text/tab-separated-values', 'name\taddr\na\t8.8.8.8\nb\tx\n', '?column=addr'],
    ['lines without a type', '', '8.8.8.8\nx', ''],
    ['what the query says it is', 'application/octet-stream', '["8.8.8.8","x"]', '?format=json'],
  ])('can come as %s', async (_what, type, body, query) => {
    const answer = await harness.ask(`/jobs${query}`, {
      method: 'POST',
      headers: type === '' ? {} : { 'content-type': type },
      body,
    })
    expect(answer.status).toBe(202)
    expect(await harness.finishAll(answer.json().id)).toMatch(/^\{"input":"8.8.8.8","ip".*\n\{"input":"x","error".*\n$/)
  })

  test('keeps the wanted fields and the callback', async () => {
    const id = await harness.job(
      '8.8.8.8',
      '/jobs?fields=city,asn.name,city&callback=https%3A%2F%2Fme.example%2Fdone%3Fk%3Ds',
    )
    expect((await harness.ask(`/jobs/${id}`)).json()).toMatchObject({
      fields: ['city', 'asn.name'],
      callback: { url: 'https://me.example/done', state: 'waiting', attempts: 0 },
    })
    expect(JSON.parse(await harness.finish(id, 0))).toEqual({
      input: '8.8.8.8',
      city: expect.any(String),
      'asn.name': 'Example',
    })
  })

  test.each([
    { query: '?fields=a b', status: 400 },
    { query: '?fields=a..b', status: 400 },
    { query: `?fields=${Array.from({ length: 101 }, (_, at) => `f${at}`).join(',')}`, status: 400 },
    { query: '?callback=ftp://x', status: 400 },
    { query: '?callback=https://refused.example/', status: 403 },
    { query: '?unknown=1&fields=', status: 202 },
  ])('POST $query is $status', async ({ query, status }) => {
    const before = harness.submitted.length
    const answer = await harness.post('8.8.8.8', `/jobs${query}`)
    expect(answer.status).toBe(status)
    expect(harness.submitted.length - before).toBe(status === 202 ? 1 : 0)
  })

  test('that the queue does not take is none', async () => {
    harness.submitFault = new Error('Connection is closed.')
    const answer = await harness.post('8.8.8.8')
    harness.submitFault = undefined
    expect([answer.status, answer.headers['retry-after']]).toEqual([503, '5'])
    expect(answer.json().error.title).toBe('Store away')
    const ids = idsIn(await harness.ask('/jobs?limit=100'))
    expect(ids).toEqual(harness.submitted.toReversed())
  })
})

describe('DELETE', () => {
  test('cancels a job under way; what is there stays; a second one removes it', async () => {
    const id = await harness.job(2500)
    await harness.finish(id, 0)
    const answer = await harness.ask(`/jobs/${id}`, { method: 'DELETE' })
    expect([answer.status, answer.json().state]).toEqual([200, 'cancelled'])
    expect(harness.cancelled).toContain(id)
    expect((await harness.ask(`/jobs/${id}/results`)).text.split('\n')).toHaveLength(1001)

    expect((await harness.ask(`/jobs/${id}`, { method: 'DELETE' })).status).toBe(204)
    expect((await harness.ask(`/jobs/${id}`)).status).toBe(404)
    expect((await harness.ask(`/jobs/${id}/results`)).status).toBe(404)
    expect((await harness.ask('/jobs?limit=100')).text).not.toContain(id)
  })
})

describe('the list', () => {
  let ids: string[]
  beforeEach(async () => {
    const { jobs } = (await harness.ask('/jobs?limit=100')).json()
    for (const { id } of jobs) await harness.store.remove(id, 'everyone')
    ids = []
    for (let count = 0; count < 5; count += 1) ids.unshift(await harness.job('8.8.8.8'))
  })

  test('has the newest first, by pages', async () => {
    const first = await harness.ask('/jobs?limit=2')
    expect(idsIn(first)).toEqual(ids.slice(0, 2))
    const second = await harness.ask(`/jobs?limit=2&cursor=${first.json().next}`)
    expect(idsIn(second)).toEqual(ids.slice(2, 4))
    const last = await harness.ask(`/jobs?limit=2&cursor=${second.json().next}`)
    expect([idsIn(last), last.json().next]).toEqual([ids.slice(4), undefined])
    const all = await harness.ask('/jobs?limit=5')
    expect([idsIn(all), all.json().next]).toEqual([ids, undefined])
  })

  test('can be of one state, also when pages hold few of them', async () => {
    const [, second = '', , fourth = '', fifth = ''] = ids
    for (const id of [second, fourth, fifth]) await harness.finishAll(id)
    expect(idsIn(await harness.ask('/jobs?state=completed'))).toEqual([second, fourth, fifth])
    const page = await harness.ask('/jobs?state=completed&limit=2')
    expect(idsIn(page)).toEqual([second, fourth])
    expect(idsIn(await harness.ask(`/jobs?state=completed&limit=2&cursor=${page.json().next}`))).toEqual([fifth])
    expect(idsIn(await harness.ask('/jobs?state=running'))).toEqual([])
  })

  test.each(['limit=0', 'limit=101', 'limit=x', 'limit=-1', 'cursor=x', 'state=lost'])('?%s is 400', async (query) => {
    const answer = await harness.ask(`/jobs?${query}`)
    expect([answer.status, answer.json().error.title]).toEqual([400, 'Bad request'])
  })
})

describe('the webhook', () => {
  test('of a completed job is sent again', async () => {
    const id = await harness.job('8.8.8.8', '/jobs?callback=https://me.example/')
    const early = await harness.ask(`/jobs/${id}/webhook`, { method: 'POST' })
    expect([early.status, early.json().error.message]).toEqual([409, expect.stringContaining('queued')])
    await harness.finishAll(id)
    const answer = await harness.ask(`/jobs/${id}/webhook`, { method: 'POST' })
    expect([answer.status, answer.json().id, harness.webhooks]).toEqual([202, id, [id]])
  })

  test('is a conflict without a callback', async () => {
    const id = await harness.job('8.8.8.8')
    await harness.finishAll(id)
    expect((await harness.ask(`/jobs/${id}/webhook`, { method: 'POST' })).status).toBe(409)
  })
})

describe('what is not there', () => {
  test.each([
    `/jobs/${unknownId}`,
    '/jobs/x',
    '/jobs/%2e%2e',
    `/jobs/${unknownId}/results`,
    `/jobs/${unknownId}/events`,
    `/jobs/${unknownId.toUpperCase()}x`,
    '/jobs/x/y/z',
    '/',
    '/nothing',
  ])('GET %s is 404 as JSON', async (path) => {
    const answer = await harness.ask(path)
    expect([answer.status, answer.headers['content-type']]).toEqual([404, 'application/json; charset=utf-8'])
    expect(answer.json()).toEqual({ status: 404, error: { title: 'Not found', message: expect.any(String) } })
  })

  test.each([
    { method: 'PUT', path: '/jobs', allow: 'GET, HEAD, POST' },
    { method: 'DELETE', path: '/jobs', allow: 'GET, HEAD, POST' },
    { method: 'POST', path: `/jobs/${unknownId}`, allow: 'GET, HEAD, DELETE' },
    { method: 'GET', path: `/jobs/${unknownId}/webhook`, allow: 'POST' },
    { method: 'POST', path: `/jobs/${unknownId}/results`, allow: 'GET, HEAD' },
    { method: 'DELETE', path: `/jobs/${unknownId}/events`, allow: 'GET, HEAD' },
  ])('$method $path is 405 with Allow', async ({ method, path, allow }) => {
    const answer = await harness.ask(path, { method })
    expect([answer.status, answer.headers.allow]).toEqual([405, allow])
    expect(answer.json().error.title).toBe('Method not allowed')
  })

  test('OPTIONS tells the methods', async () => {
    const answer = await harness.ask('/jobs', { method: 'OPTIONS' })
    expect([answer.status, answer.headers.allow]).toEqual([200, 'GET, HEAD, POST'])
  })

  test('a malformed path is 400', async () => {
    expect((await harness.ask('/jobs/%ZZ')).json()).toMatchObject({ status: 400 })
  })
})

test.each([
  ['two Hosts', 'GET /jobs HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
  ['an absolute target', 'GET http://a/jobs HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a length and chunks', 'POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['an unknown coding', 'POST /jobs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n'],
])('%s: 400, and the end of the connection', async (_what, text) => {
  const { answers, end } = await converse(harness.port, text)
  expect([answers.map(({ status }) => status), end]).toEqual([[400], 'closed'])
})

test('probes answer, and are not in the log', async () => {
  for (const path of ['/livez', '/readyz', '/health', '/metrics']) {
    expect([path, (await harness.ask(path)).status]).toEqual([path, 200])
  }
  harness.isReady = false
  expect((await harness.ask('/readyz')).status).toBe(503)
  harness.isReady = true
  const log = harness.logged.join('')
  expect(log).toContain('"path":"/jobs"')
  expect(log).not.toMatch(/"level":"(?:info|warn)"[^\n]*livez/)
})

describe('with CLIENT_TOKENS', () => {
  const mine = { authorization: 'Bearer token-of-mine' }
  const yours = { authorization: 'Bearer token-of-yours' }
  let guarded: ApiHarness
  let id: string
  beforeAll(async () => {
    guarded = await ApiHarness.start({
      tokens: [
        { secret: 'token-of-mine' },
        { secret: 'token-of-yours' },
        { secret: 'token-of-few', requests: { kind: 'sliding-window', limit: 1, windowMs: 3_600_000 } },
      ],
    })
    id = await guarded.job('8.8.8.8', '/jobs', mine)
  })
  afterAll(() => guarded[Symbol.asyncDispose]())

  test.each([
    { method: 'GET', path: '/jobs' },
    { method: 'POST', path: '/jobs' },
    { method: 'GET', path: '/jobs/x' },
    { method: 'GET', path: '/jobs/x/results' },
    { method: 'PUT', path: '/jobs' },
  ])('$method $path needs one', async ({ method, path }) => {
    const missing = await guarded.ask(path, { method, body: addressLines(3) })
    expect([missing.status, missing.headers['www-authenticate']]).toEqual([401, 'Bearer'])
    const unknown = await guarded.ask(path, { method, headers: { authorization: 'Bearer token-of-nobody' } })
    expect([unknown.status, unknown.json().error.title]).toEqual([403, 'Unknown token'])
  })

  test('a page of another origin may ask before it sends its token, and read each answer', async () => {
    const asks = {
      origin: 'https://page.example',
      'access-control-request-method': 'DELETE',
      'access-control-request-headers': 'authorization,idempotency-key',
    }
    for (const path of ['/jobs', `/jobs/${id}`, `/jobs/${id}/results`, `/jobs/${id}/events`, '/jobs/x/webhook']) {
      const preflight = await guarded.ask(path, { method: 'OPTIONS', headers: asks })
      expect([preflight.status, preflight.headers['access-control-allow-origin']]).toEqual([204, '*'])
      expect(preflight.headers['access-control-allow-methods']).toContain('DELETE')
      expect(preflight.headers['access-control-allow-headers']).toMatch(/Authorization.*Idempotency-Key/)
    }
    const answers = [
      await guarded.ask('/jobs', { headers: mine }),
      await guarded.ask('/jobs'),
      await guarded.ask('/jobs', { method: 'PUT', headers: mine }),
      await guarded.ask('/jobs/x', { headers: mine }),
      await guarded.ask(`/jobs/${id}/results`, { headers: mine }),
      await guarded.post('nonsense', '/jobs?fields=nonsense', mine),
      await guarded.ask('/elsewhere', { headers: mine }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([200, 401, 405, 404, 200, 400, 404])
    for (const { headers } of answers) expect(headers['access-control-allow-origin']).toBe('*')
    expect(answers[0]?.headers['access-control-expose-headers']).toMatch(/Location/)
  })

  test('a job is its token’s alone', async () => {
    for (const [method, path] of [
      ['GET', `/jobs/${id}`],
      ['DELETE', `/jobs/${id}`],
      ['GET', `/jobs/${id}/results`],
      ['GET', `/jobs/${id}/events`],
      ['POST', `/jobs/${id}/webhook`],
    ] as const) {
      expect([path, (await guarded.ask(path, { method, headers: yours })).status]).toEqual([path, 404])
    }
    expect((await guarded.ask('/jobs', { headers: yours })).json().jobs).toEqual([])
    expect((await guarded.ask('/jobs', { headers: mine })).json().jobs).toHaveLength(1)
    expect((await guarded.ask(`/jobs/${id}?token=token-of-mine`)).status).toBe(200)
  })

  test('two tokens may use the same Idempotency-Key', async () => {
    const first = await guarded.job('8.8.8.8', '/jobs', { ...mine, 'idempotency-key': 'k' })
    expect(await guarded.job('9.9.9.9', '/jobs', { ...yours, 'idempotency-key': 'k' })).not.toBe(first)
  })

  test('a budget of requests is told and kept', async () => {
    const headers = { authorization: 'Bearer token-of-few' }
    const answer = await guarded.ask('/jobs', { headers })
    expect([answer.status, answer.headers['ratelimit-policy']]).toEqual([200, '"requests";q=1;w=3600'])
    expect(answer.headers['access-control-expose-headers']).toMatch(/Location.*RateLimit/)
    const over = await guarded.ask('/jobs', { headers })
    expect([over.status, Number(over.headers['retry-after']) > 0]).toEqual([429, true])
  })

  test('probes need none, and no token is in the log', async () => {
    expect((await guarded.ask('/health')).status).toBe(200)
    expect(guarded.logged.join('')).not.toContain('token-of')
  })
})
