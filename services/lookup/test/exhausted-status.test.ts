import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type LocalFleet, startLocalFleet } from './local-fleet.ts'

/** For clients whose SDK takes a 503 for a record (issue 12). */
let fleet: LocalFleet
beforeAll(async () => {
  fleet = await startLocalFleet({ keys: ['test-key-1'], env: { EXHAUSTED_STATUS: '429' } })
  fleet.fake.behave({ kind: '429-storm', retryAfterSeconds: 60 })
})
afterAll(() => fleet.stop())

const limited = { status: 429, error: { title: 'All keys are cooling down' } }

test('with EXHAUSTED_STATUS=429 a look-up that no key may ask is a 429 with Retry-After', async () => {
  // Upstream is asked once, by the first.
  for (const [path, forwarded] of [
    ['/8.8.8.8', ' fwd=miss;'],
    ['/8.8.4.4/city', ''],
    ['/8.8.4.4', ''],
  ] as const) {
    const reply = await fleet.ask(path)
    expect([reply.status, reply.json()]).toMatchObject([429, limited])
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0)
    expect(reply.headers['cache-status']).toBe(`ipfleet;${forwarded} detail=keys_exhausted`)
  }
})

test('it is counted as what the client was told', async () => {
  await fleet.ask('/8.8.8.9')
  const lines = (await fleet.ask('/metrics')).text.split('\n')
  const counted = lines.filter((line) => line.startsWith('ipfleet_requests_total{route="lookup",status="4xx",'))
  expect(counted).toContainEqual(expect.stringMatching(/cache="error"} [1-9]/))
  expect(lines).not.toContainEqual(expect.stringMatching(/^ipfleet_requests_total\{.*status="5xx".*} [1-9]/))
})

test('so is a batch, and an item of one', async () => {
  const post = { method: 'POST', body: '["8.8.8.8"]' }
  expect((await fleet.ask('/batch', post)).json()).toMatchObject(limited)
  const mixed = await fleet.ask('/batch', { ...post, body: '["8.8.8.8", "10.0.0.1"]' })
  expect([mixed.status, mixed.json()]).toMatchObject([200, { '8.8.8.8': limited, '10.0.0.1': { bogon: true } }])
})

test('a job is told 503, which it knows', async () => {
  const headers = { 'ipfleet-live-reserve': '20' }
  expect((await fleet.ask('/batch', { method: 'POST', body: '["8.8.8.8"]', headers })).status).toBe(503)
})

test('other failures keep their status', async () => {
  expect((await fleet.ask('/9.9.9.9', { headers: { 'cache-control': 'only-if-cached' } })).status).toBe(504)
})

test('without CLIENT_TOKENS there is no /usage, and upstream is not asked for it', async () => {
  const reply = await fleet.ask('/usage')
  expect([reply.status, reply.json()]).toMatchObject([404, { status: 404, error: { title: 'Not found' } }])
  expect(fleet.fake.callsTo('/usage')).toEqual([])
})
