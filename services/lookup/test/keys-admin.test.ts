import { until } from '@ipfleet/testing/until.ts'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { apiKey } from '@ipfleet/key-pool/api-key.ts'
import { startReplica } from '@ipfleet/testing/service-process.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { defaultKeys, healthOf, httpClient, type LocalFleet, startLocalFleet } from './local-fleet.ts'
import { observeRedis } from '@ipfleet/testing/redis-observer.ts'

/** What an operator sees of the keys and does to them: `/keys` and KEYS_FILE. */
let redis: TestRedis
beforeAll(async () => {
  redis = await startTestRedis()
})
afterAll(() => redis.stop())

let address = 0
const fresh = (): string => `/9.${(address >> 16) & 255}.${(address >> 8) & 255}.${address++ & 255}`

const token = 'admin-token'
const asAdmin = { headers: { authorization: `Bearer ${token}` } }
const ids = defaultKeys.map((key) => apiKey(key).id)

type Row = Readonly<Record<string, unknown>> & { readonly id: string }

async function rows(fleet: LocalFleet, replica = 0): Promise<Row[]> {
  const reply = await fleet.ask('/keys', { replica, ...asAdmin })
  expect(reply.status).toBe(200)
  return (reply.json() as { keys: Row[] }).keys
}

/** How often each key was used for `count` new queries. */
async function useOf(fleet: LocalFleet, count: number): Promise<Record<string, number>> {
  fleet.fake.clearCalls()
  const replies = await fleet.askAll(count, fresh)
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]))
  return { ...fleet.fake.countByToken() }
}

describe('/keys', () => {
  let fleet: LocalFleet
  beforeAll(async () => {
    fleet = await startLocalFleet({ redis, replicas: 2, env: { ADMIN_TOKEN: token, COOLDOWN_SECONDS: '100' } })
  })
  afterAll(() => fleet.stop())
  const act = (path: string, replica = 0) => fleet.ask(path, { method: 'POST', replica, ...asAdmin })

  test('lists every key by its id, never its secret', async () => {
    const reply = await fleet.ask('/keys', asAdmin)
    expect(reply.json()).toEqual({
      keys: ids.map((id) => ({ id, state: 'active', taken: 0, share: 0.333, weight: 1 })),
    })
    for (const key of defaultKeys) expect(reply.text).not.toContain(key)
  })

  test('is for clients with the admin token', async () => {
    const [id] = ids
    for (const [method, path] of [
      ['GET', '/keys'],
      ['POST', `/keys/${id}/bench`],
      ['POST', `/keys/${id}/release`],
    ] as const) {
      for (const headers of [{}, { authorization: 'Bearer guess' }]) {
        expect((await fleet.ask(path, { method, headers })).status).toBe(401)
      }
    }
    expect((await healthOf(fleet)).keys.cooling).toBe(0)
  })

  test('benches a key for the whole fleet, for the seconds given, and releases it for the whole fleet', async () => {
    const [id] = ids as [string]
    const startedMs = Date.now()
    const benched = await act(`/keys/${id}/bench?seconds=30`)
    const row = benched.json() as Row
    expect([benched.status, row]).toMatchObject([200, { id, state: 'cooling', reason: 'operator', share: 0 }])
    expect(Number(row['seconds'])).toBeGreaterThan(20)
    expect(Number(row['seconds'])).toBeLessThanOrEqual(30)
    const untilMs = Date.parse(String(row['until'])) - startedMs
    expect(untilMs).toBeGreaterThan(29_000)
    expect(untilMs).toBeLessThan(40_000)
    expect(await rows(fleet, 1)).toMatchObject([{ state: 'cooling' }, { share: 0.5 }, { share: 0.5 }])
    expect(await useOf(fleet, 20)).toEqual({ 'test-key-2': 10, 'test-key-3': 10 })

    const released = await act(`/keys/${id}/release`, 1)
    expect([released.status, released.json()]).toMatchObject([200, { id, state: 'active' }])
    expect(Object.keys(await useOf(fleet, 12)).toSorted()).toEqual([...defaultKeys])
  })

  test('releases a key that upstream limited, at once and without a trial', async () => {
    const [limited] = defaultKeys
    const [id] = ids
    fleet.fake.behave({ kind: '429-storm', tokens: [limited], times: 1 })
    await useOf(fleet, 6)
    const [row, ...others] = await rows(fleet, 1)
    expect([row, ...others]).toMatchObject([{ id, state: 'cooling', reason: 'limited' }, {}, {}])
    expect(Number(row?.['seconds'])).toBeGreaterThan(80)
    await act(`/keys/${id}/release`, 1)
    expect(await useOf(fleet, 12)).toHaveProperty(limited)
    expect(await rows(fleet)).toMatchObject([{ state: 'active' }, {}, {}])
  })

  test('benches for the cooldown when the request does not say for how long', async () => {
    const { seconds } = (await act(`/keys/${ids[1]}/bench`)).json() as { seconds: number }
    expect([seconds > 80, seconds <= 100]).toEqual([true, true])
    await act(`/keys/${ids[1]}/release`)
  })

  test.each(['0', '-1', 'x', '', '1.5', '31536001', '1&seconds=2'])(
    'refuses to bench for %s seconds',
    async (seconds) => {
      expect((await act(`/keys/${ids[0]}/bench?seconds=${seconds}`)).status).toBe(400)
      expect((await healthOf(fleet)).keys.cooling).toBe(0)
    },
  )

  test('knows no other id and no other path, and asks upstream about none', async () => {
    fleet.fake.clearCalls()
    for (const path of [
      '/keys/0123456789ab/bench',
      `/keys/${defaultKeys[0]}/release`,
      `/keys/${ids[0]}/forget`,
      '/keys/__proto__/bench',
    ]) {
      const reply = await act(path)
      expect([path, reply.status, reply.json()]).toMatchObject([path, 404, { status: 404 }])
    }
    expect((await fleet.ask(`/keys/${ids[0]}`, asAdmin)).status).toBe(404)
    expect(fleet.fake.calls).toEqual([])
  })
})

test('a key’s quota is in the metrics, by its id', async () => {
  const fake = { keys: { 'test-key-1': { monthlyQuota: 50 } } }
  await using fleet = await startLocalFleet({ redis, fake, keys: ['test-key-1'], env: { QUOTA_POLL_SECONDS: '300' } })
  const [id] = ids
  await until(async () => (await fleet.ask('/metrics')).text.includes(`ipfleet_key_quota_remaining{key="${id}"} 50`))
  await fleet.ask(fresh())
  expect((await fleet.ask('/metrics')).text).toContain(`ipfleet_key_quota_remaining{key="${id}"} 49`)
})

test('without keys there are none to see', async () => {
  const replica = await startReplica()
  const client = httpClient()
  try {
    expect((await client.ask(replica.url, '/keys')).json()).toEqual({ keys: [] })
    expect((await client.ask(replica.url, '/keys/x/bench', { method: 'POST' })).status).toBe(404)
  } finally {
    client.close()
    await replica.stop()
  }
})

describe('KEYS_FILE', () => {
  let folder: string
  let path: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'keys-admin-'))
    path = join(folder, 'keys')
  })
  afterEach(() => rm(folder, { recursive: true }))

  async function write(text: string): Promise<void> {
    await writeFile(`${path}.new`, text)
    await rename(`${path}.new`, path)
  }

  async function filedFleet(text: string, replicas = 2): Promise<LocalFleet> {
    await write(text)
    return startLocalFleet({ redis, replicas, keys: ['listed-key'], env: { KEYS_FILE: path, ADMIN_TOKEN: token } })
  }

  test('adds its keys, with weights, to those of IPINFO_KEYS', async () => {
    await using fleet = await filedFleet('filed-key weight=3\n')
    expect(await useOf(fleet, 40)).toEqual({ 'listed-key': 10, 'filed-key': 30 })
    expect(await rows(fleet)).toMatchObject([
      { weight: 1, share: 0.25 },
      { weight: 3, share: 0.75 },
    ])
  })

  test('is enough by itself', async () => {
    await write('filed-key')
    await using fleet = await startLocalFleet({ redis, keys: [], env: { KEYS_FILE: path } })
    expect(await useOf(fleet, 4)).toEqual({ 'filed-key': 4 })
  })

  test('keys of one group are benched together, for the fleet', async () => {
    await using fleet = await filedFleet('one group=acme\ntwo group=acme\nthree')
    fleet.fake.behave({ kind: '429-storm', retryAfterSeconds: 60, tokens: ['one'] })
    await useOf(fleet, 20)
    const acme = { group: 'acme', state: 'cooling', reason: 'limited' }
    expect(await rows(fleet, 1)).toMatchObject([{ state: 'active' }, acme, acme, { state: 'active' }])
    expect(Object.keys(await useOf(fleet, 10)).toSorted()).toEqual(['listed-key', 'three'])
  })

  test('changes the keys of a running fleet; a removed key finishes what it carries', async () => {
    await using fleet = await filedFleet('old-key')
    const gate = fleet.fake.hold({ tokens: ['old-key'] })
    const held = fleet.fake.nextCall(({ token: used }) => used === 'old-key')
    const replies = fleet.askAll(4, fresh)
    await held
    await write('new-key\nother-key')
    await until(async () => (await sizes(fleet)).every((size) => size === 3))
    gate.release()
    expect((await replies).map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect(Object.keys(await useOf(fleet, 30)).toSorted()).toEqual(['listed-key', 'new-key', 'other-key'])
  })

  test('that makes no sense is said in the log and ignored', async () => {
    await using fleet = await filedFleet('old-key', 1)
    await write('canary-key weight=x')
    const line = await fleet.replicas[0]?.waitForLine(({ fault }) => fault !== undefined)
    expect(line).toMatchObject({ level: 'error', fault: 'line 1: weight is a number above 0, below 10000' })
    expect(Object.keys(await useOf(fleet, 10)).toSorted()).toEqual(['listed-key', 'old-key'])
    expect(fleet.replicas[0]?.output()).not.toContain('canary-key')
  })

  test('that makes no sense at the start is a fault that names the line', async () => {
    await write('good-key\ncanary-key weight=x')
    const env = { KEYS_FILE: path, IPINFO_BASE_URL: 'http://127.0.0.1:9' }
    const failed = await startReplica(env).then(
      (replica) => replica.stop().then(() => undefined),
      (error: Error) => error.message,
    )
    expect(failed).toContain('line 2: weight is a number above 0, below 10000')
    expect(failed).not.toContain('canary-key')
  })

  test('keys that came later are never seen either: not in logs, Redis, metrics or answers', async () => {
    await using fleet = await filedFleet('first-canary-1a')
    await using observer = await observeRedis(redis.url)
    await write('first-canary-1a group=acme\nlater-canary-2b weight=2')
    await until(async () => (await sizes(fleet)).every((size) => size === 3))
    await useOf(fleet, 12)
    const seen = [
      ...fleet.replicas.map((replica) => replica.output()),
      JSON.stringify(observer.commands()),
      await observer.dump(),
      (await fleet.ask('/metrics')).text,
      (await fleet.ask('/keys', asAdmin)).text,
      ...(await Promise.all([0, 1, 2].map(async () => (await fleet.ask('/me')).text))),
    ].join('\n')
    for (const canary of ['first-canary-1a', 'later-canary-2b']) {
      expect(seen).not.toContain(canary)
      expect(seen).toContain(apiKey(canary).id)
    }
  })
})

/** How many keys each replica has. */
function sizes(fleet: LocalFleet): Promise<number[]> {
  return Promise.all(fleet.replicas.map(async (_, index) => (await healthOf(fleet, index)).keys.total))
}
