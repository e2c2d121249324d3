import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { type FakeIpasis, startFakeIpasis } from '@ipfleet/testing/fake-ipasis.ts'
import type { Behaviour } from '@ipfleet/testing/fake-ipinfo/faults.ts'
import { until } from '@ipfleet/testing/until.ts'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cacheStatus, type LocalFleet, startLocalFleet } from './local-fleet.ts'

/** PROVIDER=ipinfo,ipasis: the second is asked when the first is down or has no key left (issue 12). */
let fleet: LocalFleet
let second: FakeIpasis
let folder: string

beforeAll(async () => {
  second = await startFakeIpasis({ keys: { 'pasis-key-1': 1000 } })
  folder = await mkdtemp(join(tmpdir(), 'ipfleet-keys-'))
  const file = join(folder, 'keys')
  await writeFile(file, 'test-key-1\ntest-key-2\npasis-key-1 provider=ipasis\n')
  fleet = await startLocalFleet({
    replicas: 2,
    keys: [],
    env: {
      PROVIDER: 'ipinfo,ipasis',
      KEYS_FILE: file,
      IPASIS_BASE_URL: second.url,
      BREAKER_OPEN_SECONDS: '1',
      REQUEST_TIMEOUT_MS: '8000',
      COOLDOWN_SECONDS: '1',
    },
  })
})
afterEach(() => {
  fleet.fake.heal()
  fleet.fake.clearCalls()
  second.clearCalls()
})
afterAll(async () => {
  await fleet.stop()
  await second.close()
  await rm(folder, { recursive: true })
})

let address = 0
const fresh = (): string => `9.8.${address >> 8}.${address++ & 255}`

test('while the first answers, the second is not asked', async () => {
  const reply = await fleet.ask(`/${fresh()}`)
  expect([reply.status, cacheStatus(reply)]).toEqual([200, expect.not.stringContaining('fallback')])
  expect(second.calls).toEqual([])
})

test.each<[string, Behaviour]>([
  ['fails', { kind: 'status', status: 500 }],
  ['says 501 to everything', { kind: 'status', status: 501, body: { error: 'not implemented' } }],
  ['does not answer in time', { kind: 'hang' }],
  ['has no key left', { kind: '429-storm', retryAfterSeconds: 1 }],
])(
  'when the first %s the second answers in IPinfo’s shape, for FALLBACK_TTL_SECONDS, and says so',
  async (_, behaviour) => {
    fleet.fake.behave(behaviour)
    // A replica that stood still for the life of its lease stores nothing.
    const ip = await until(async () => {
      const asked = fresh()
      const reply = await fleet.ask(`/${asked}`)
      const record = expect.objectContaining({ ip: asked, country: expect.any(String) })
      expect([reply.status, reply.json()]).toEqual([200, record])
      expect(cacheStatus(reply)).toMatch(/^ipfleet; fwd=miss; fwd-status=200;( stored;)? fallback$/)
      return cacheStatus(reply).includes('stored') && asked
    })
    const elsewhere = cacheStatus(await fleet.ask(`/${ip}`, { replica: 1 }))
    expect(elsewhere).toMatch(/^ipfleet; hit; ttl=\d+; detail=l2; fallback$/)
    expect(Number(/ttl=(\d+)/.exec(elsewhere)?.[1])).toBeLessThanOrEqual(300)
    expect(cacheStatus(await fleet.ask(`/${ip}/city`))).toContain('fallback')
    const known = fleet.fake.calls.map(({ token }) => token)
    expect(known).not.toContain('pasis-key-1')
    expect(new Set(second.calls.map(({ token }) => token))).toEqual(new Set(['pasis-key-1']))
  },
)

test('a batch is answered item by item, and what the second lacks is the first’s failure', async () => {
  fleet.fake.behave({ kind: 'status', status: 500 })
  const ip = fresh()
  const reply = await fleet.ask('/batch', { method: 'POST', body: JSON.stringify([ip, 'AS15169']) })
  expect([reply.status, reply.json()]).toMatchObject([200, { [ip]: { ip }, AS15169: { status: expect.any(Number) } }])
  expect(cacheStatus(reply)).toContain('fallback')
  expect((await fleet.ask(`/lookup/${fresh()}`)).status).toBeGreaterThanOrEqual(502)
  expect(second.calls).toHaveLength(1)
})

test.each<[string, Behaviour]>([
  ['does not answer in time', { kind: 'hang' }],
  ['is cut short by the deadline', { kind: 'drip', everyMs: 300 }],
])('when the first %s, a batch has time left for the second, which answers all of it', async (_, behaviour) => {
  fleet.fake.behave(behaviour)
  const items = Array.from({ length: 20 }, fresh)
  const reply = await fleet.ask('/batch', { method: 'POST', body: JSON.stringify(items) })
  expect(reply.status).toBe(200)
  expect(reply.json()).toEqual(Object.fromEntries(items.map((ip) => [ip, expect.objectContaining({ ip })])))
})

test('the second is asked with keys that come with a later KEYS_FILE, and its failures are counted', async () => {
  const file = join(folder, 'later-keys')
  await writeFile(file, 'test-key-1\n')
  const timeoutMs = 5000
  const env = {
    PROVIDER: 'ipinfo,ipasis',
    KEYS_FILE: file,
    IPASIS_BASE_URL: second.url,
    BREAKER_MIN_CALLS: '10000',
    REQUEST_TIMEOUT_MS: String(timeoutMs),
  }
  await using later = await startLocalFleet({ keys: [], env })
  // No time of the first is kept for a second that has no key.
  const hurry = later.fake.behave({ kind: 'hang' })
  const startedMs = performance.now()
  expect((await later.ask(`/${fresh()}`)).status).toBe(504)
  expect(performance.now() - startedMs).toBeGreaterThan(0.9 * timeoutMs)
  hurry()
  later.fake.behave({ kind: 'status', status: 500 })
  expect((await later.ask(`/${fresh()}`)).status).toBe(502)
  await writeFile(file, 'test-key-1\npasis-key-1 provider=ipasis\n')
  await until(async () => cacheStatus(await later.ask(`/${fresh()}`)).includes('fallback'))
  const errors = async (): Promise<number> =>
    ((await later.ask('/stats')).json() as { upstream_errors: number }).upstream_errors
  const before = await errors()
  const heal = second.behave({ kind: 'status', status: 500 })
  expect((await later.ask(`/${fresh()}`)).status).toBe(502)
  heal()
  // One of each.
  expect((await errors()) - before).toBeGreaterThanOrEqual(2)
})

test('health, statistics and gauges count the keys of both', async () => {
  const counts = { total: 3, active: 3, cooling: 0 }
  await until(async () => {
    const { keys } = (await fleet.ask('/health')).json() as { keys: object }
    return JSON.stringify(keys) === JSON.stringify(counts)
  })
  expect((await fleet.ask('/stats')).json()).toMatchObject({ keys: counts })
  expect((await fleet.ask('/metrics')).text).toContain('ipfleet_keys{state="active"} 3')
})

test('both keys’ states are told, each with its provider', async () => {
  const { keys } = (await fleet.ask('/keys')).json() as { keys: { provider?: string }[] }
  expect(keys.map(({ provider }) => provider)).toEqual([undefined, undefined, 'ipasis'])
})

test('calls of both are measured, and each has breakers of its own', async () => {
  fleet.fake.behave({ kind: 'status', status: 500 })
  const metrics = await until(async () => {
    await fleet.ask(`/${fresh()}`)
    const { text } = await fleet.ask('/metrics')
    return /^ipfleet_breaker_state\{breaker="upstream",provider="ipinfo"\} [12]$/m.test(text) && text
  })
  expect(metrics).toMatch(/^ipfleet_breaker_state\{breaker="upstream",provider="ipasis"\} 0$/m)
  const answered = /^ipfleet_upstream_duration_seconds_count\{outcome="answered"\} (\d+)$/m.exec(metrics)
  expect(Number(answered?.[1])).toBeGreaterThan(second.calls.length / 2)
})
