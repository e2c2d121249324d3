import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { type FakeIpinfo, startFakeIpinfo } from './fake-ipinfo.ts'

let fake: FakeIpinfo

beforeEach(async () => {
  fake = await startFakeIpinfo({ keys: { k1: { monthlyQuota: 100 }, k2: {} } })
})

afterEach(() => fake.close())

const path = '/8.8.8.8'

function ask(token = 'k1', to = path): Promise<Response> {
  return fetch(fake.url + to, { headers: { authorization: `Bearer ${token}` }, redirect: 'manual' })
}

/** What arrives of an answer, and the error that ended it. */
async function raw(): Promise<{ head: IncomingMessage | undefined; bytes: number; code: unknown }> {
  const req = request(fake.url + path, { headers: { authorization: 'Bearer k1' }, agent: false }).end()
  // The same failure may come again after the one that is awaited.
  req.on('error', () => {})
  let head: IncomingMessage | undefined
  let bytes = 0
  try {
    const [response]: IncomingMessage[] = await once(req, 'response')
    head = response
    head?.on('data', (chunk: Buffer) => (bytes += chunk.length))
    if (head !== undefined) await once(head, 'end')
    return { head, bytes, code: undefined }
  } catch (error) {
    return { head, bytes, code: typeof error === 'object' && error !== null && 'code' in error ? error.code : error }
  }
}

test('latency delays the answer and heals', async () => {
  fake.behave({ kind: 'latency', ms: 60 })
  const before = performance.now()
  expect((await ask()).status).toBe(200)
  expect(performance.now() - before).toBeGreaterThanOrEqual(58)
  // Longer than a test may take.
  fake.behave({ kind: 'latency', ms: 600_000 })
  fake.heal()
  expect((await ask()).status).toBe(200)
})

test('any status with body and headers, which costs no quota', async () => {
  fake.behave({ kind: 'status', status: 503, body: { error: 'busy' }, headers: { 'retry-after': '7' } })
  const response = await ask()
  expect([response.status, response.headers.get('retry-after'), await response.json()]).toEqual([
    503,
    '7',
    { error: 'busy' },
  ])
  fake.heal()
  expect(await (await ask('k1', '/me')).json()).toMatchObject({ requests: { month: 0 } })
})

test.each([
  ['429-storm', 429, 'Rate limit exceeded'],
  ['403-storm', 403, 'Unknown token'],
] as const)('a %s hits every token with the real body', async (kind, status, title) => {
  fake.behave({ kind })
  const responses = [await ask('k1'), await ask('k2')]
  expect(responses.map((response) => response.status)).toEqual([status, status])
  const body = { status, error: { title, message: expect.any(String) } }
  expect(await Promise.all(responses.map((response) => response.json()))).toEqual([body, body])
})

test('a 401-storm is {} and a 429-storm may say when to return', async () => {
  fake.behave({ kind: '401-storm' })
  const response = await ask()
  expect([response.status, await response.text()]).toEqual([401, '{}'])
  fake.behave({ kind: '429-storm', retryAfterSeconds: 9 })
  expect((await ask()).headers.get('retry-after')).toBe('9')
})

test('faults keep to their tokens, paths, methods, predicate and number', async () => {
  fake.behave({ kind: 'status', status: 501, tokens: ['k2'] })
  fake.behave({ kind: 'status', status: 502, paths: ['/1.1.*'] })
  fake.behave({ kind: 'status', status: 503, methods: ['POST'] })
  fake.behave({ kind: 'status', status: 504, when: (call) => call.path.includes('x=1') })
  const statuses = [await ask('k1'), await ask('k2'), await ask('k1', '/1.1.1.1'), await ask('k1', '/9.9.9.9?x=1')]
  expect(statuses.map(({ status }) => status)).toEqual([200, 501, 502, 504])
  expect((await fetch(`${fake.url}/batch?token=k1`, { method: 'POST' })).status).toBe(503)
  fake.heal()
  fake.clearCalls()
  fake.behave({ kind: 'status', status: 500, times: 1 })
  const last = [await ask(), await ask()].at(-1)
  // `fetch` may ask again where a connection ended.
  expect([last?.status, fake.calls.filter(({ status }) => status === 500).length]).toEqual([200, 1])
})

test('the newest fault wins, a latency goes with it, and one can be disarmed alone', async () => {
  fake.behave({ kind: 'status', status: 500 })
  const disarm = fake.behave({ kind: 'status', status: 503 })
  fake.behave({ kind: 'latency', ms: 30 })
  const before = performance.now()
  expect((await ask()).status).toBe(503)
  expect(performance.now() - before).toBeGreaterThanOrEqual(28)
  disarm()
  expect((await ask()).status).toBe(500)
})

test('hang never answers, though the quota is charged', async () => {
  fake.behave({ kind: 'hang', times: 1 })
  const aborter = new AbortController()
  const hanging = fetch(`${fake.url}${path}?token=k1`, { signal: aborter.signal })
  const call = await fake.waitForCalls(1)
  expect(await (await ask('k1', '/me')).json()).toMatchObject({ requests: { month: 1 } })
  expect(call.status).toBeUndefined()
  aborter.abort()
  await expect(hanging).rejects.toThrow('abort')
})

test('hang-after-headers sends headers and no body', async () => {
  fake.behave({ kind: 'hang-after-headers' })
  const response = await ask()
  expect([response.status, Number(response.headers.get('content-length')) > 0]).toEqual([200, true])
  const body = response.text()
  await fake.close()
  await expect(body).rejects.toThrow('terminated')
})

test('drip sends the true answer byte by byte', async () => {
  fake.behave({ kind: 'drip', everyMs: 2, paths: ['/8.8.8.8/org'] })
  const before = performance.now()
  const response = await ask('k1', '/8.8.8.8/org')
  expect(await response.text()).toBe('AS15169 Google LLC\n')
  expect(performance.now() - before).toBeGreaterThanOrEqual(30)
})

test('reset ends the connection before any header', async () => {
  fake.behave({ kind: 'reset' })
  expect(await raw()).toEqual({ head: undefined, bytes: 0, code: 'ECONNRESET' })
})

test('reset-mid-body ends it after half of the body', async () => {
  const { bytes: whole } = await raw()
  fake.behave({ kind: 'reset-mid-body' })
  const { head, bytes, code } = await raw()
  expect([head?.statusCode, bytes, code]).toEqual([200, whole >> 1, 'ECONNRESET'])
})

test('truncated promises more than it sends', async () => {
  const { bytes: whole } = await raw()
  fake.behave({ kind: 'truncated' })
  const { head, bytes, code } = await raw()
  expect([Number(head?.headers['content-length']), bytes, code]).toEqual([whole + 100, whole, 'ECONNRESET'])
})

test('garbage calls itself JSON and html does not', async () => {
  fake.behave({ kind: 'garbage' })
  const garbage = await ask()
  expect([garbage.status, garbage.headers.get('content-type')]).toEqual([200, 'application/json; charset=utf-8'])
  await expect(garbage.json()).rejects.toThrow('not valid JSON')
  fake.behave({ kind: 'html' })
  const html = await ask()
  expect([html.status, html.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
})

test('huge is valid JSON of exactly that size', async () => {
  fake.behave({ kind: 'huge', bytes: 300_001 })
  const text = await (await ask()).text()
  expect([text.length, JSON.parse(text)]).toEqual([300_001, expect.objectContaining({ ip: '8.8.8.8' })])
})

test('endless goes on until the client has enough', async () => {
  fake.behave({ kind: 'endless', times: 1 })
  const response = await ask()
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > 5_000_000) break
  }
  expect(bytes).toBeGreaterThan(5_000_000)
  expect((await ask()).status).toBe(200)
})

test('a gzip bomb is small on the wire and large after it', async () => {
  fake.behave({ kind: 'gzip-bomb', bytes: 20 << 20 })
  const { head, bytes } = await raw()
  expect([head?.headers['content-encoding'], bytes < 100_000]).toEqual(['gzip', true])
  const text = await (await ask()).text()
  expect(text.length).toBeGreaterThanOrEqual(20 << 20)
  expect(text.endsWith('x"}')).toBe(true)
})

test('a redirect leads to where the log would see it', async () => {
  fake.behave({ kind: 'redirect', paths: [path] })
  const response = await ask()
  expect([response.status, response.headers.get('location')]).toEqual([302, '/elsewhere'])
  expect(fake.callsTo('/elsewhere')).toEqual([])
  await fetch(`${fake.url}${path}?token=k1`)
  expect(fake.callsTo('/elsewhere')).toHaveLength(1)
})

test('a gate holds what is in its scope until it is released', async () => {
  const gate = fake.hold({ paths: [path] })
  let isAnswered = false
  const held = ask().then((response) => {
    isAnswered = true
    return response.status
  })
  await fake.waitForCalls(1)
  expect((await ask('k1', '/1.1.1.1')).status).toBe(200)
  expect([isAnswered, gate.waiting]).toEqual([false, 1])
  gate.release()
  expect(await held).toBe(200)
  expect((await ask()).status).toBe(200)
})

test('close ends connections that wait, hang, or are idle', async () => {
  fake.behave({ kind: 'latency', ms: 60_000, paths: ['/1.1.1.1'] })
  fake.hold({ paths: ['/2.2.2.2'] })
  fake.behave({ kind: 'hang', paths: ['/3.3.3.3'] })
  const asked = ['/1.1.1.1', '/2.2.2.2', '/3.3.3.3'].map((to) => ask('k1', to))
  const idle = connect(fake.port, '127.0.0.1')
  await once(idle, 'connect')
  const gone = once(idle, 'close')
  await fake.waitForCalls(3)
  await fake.close()
  const outcomes = await Promise.allSettled(asked)
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  await gone
})
