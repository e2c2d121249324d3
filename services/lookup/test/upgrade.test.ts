import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { apiKey } from '@ipfleet/key-pool/api-key.ts'
import { type FakeIpinfo, startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { observeRedis, type RedisObserver } from '@ipfleet/testing/redis-observer.ts'
import { type ServiceProcess, startReplica } from '@ipfleet/testing/service-process.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { patientWithRedis } from './local-fleet.ts'

/** Three replicas that start together in the Redis that the release of 29 November 2026 has left (issue 12). */
const names = [
  'limited',
  'denied',
  'exhausted',
  'operator',
  'empty-account',
  'empty-reply',
  'offender',
  'free',
] as const
type Name = (typeof names)[number]
const secretOf = (name: Name): string => `old-${name}`
const idOf = (name: Name): string => apiKey(secretOf(name)).id
const benchesKey = 'ipfleet:keys:{pool}:benches'

interface PreviousRelease {
  readonly hashes: Readonly<Record<string, Readonly<Record<string, string>>>>
}

interface Row {
  readonly id: string
  readonly state: string
  readonly reason?: string
  readonly seconds?: number
  readonly remaining?: number
  readonly limit?: number
}

let redis: TestRedis
let fake: FakeIpinfo
let observer: RedisObserver
let before: unknown
let replicas: readonly ServiceProcess[]

beforeAll(async () => {
  redis = await startTestRedis()
  observer = await observeRedis(redis.url)
  fake = await startFakeIpinfo({ keys: Object.fromEntries(names.map((name) => [secretOf(name), {}])) })
  const file = join(import.meta.dirname, 'fixture-previous-release.json')
  const { hashes } = JSON.parse(await readFile(file, 'utf8')) as PreviousRelease
  const nowMs = Date.now()
  for (const [key, fields] of Object.entries(hashes)) {
    const values = Object.entries(fields).flatMap(([field, value]) => [
      field,
      value.startsWith('now') ? String(nowMs + Number(value.slice('now'.length))) : value,
    ])
    await observer.call('HSET', key, ...values)
  }
  before = await observer.call('HGETALL', benchesKey)
  const env = {
    ...patientWithRedis,
    IPINFO_KEYS: names.map(secretOf).join(','),
    IPINFO_BASE_URL: fake.url,
    IPINFO_API_BASE_URL: fake.apiUrl,
    REDIS_URL: redis.url,
    QUOTA_POLL_SECONDS: '0',
    COOLDOWN_SECONDS: '60',
    DRAIN_MS: '0',
  }
  replicas = await Promise.all([env, env, env].map((one) => startReplica(one)))
})

afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.stop()))
  await observer[Symbol.asyncDispose]()
  await Promise.all([fake.close(), redis.stop()])
})

async function rowsOf(replica: number): Promise<Record<Name, Row>> {
  const { keys } = (await (await fetch(`${replicas[replica]?.url}/keys`)).json()) as { keys: readonly Row[] }
  return Object.fromEntries(names.map((name) => [name, keys.find(({ id }) => id === idOf(name))])) as Record<Name, Row>
}

let address = 0
const ask = (replica: number, path = `/9.2.0.${address++}`): Promise<Response> =>
  fetch(`${replicas[replica % replicas.length]?.url}${path}`)

test('every replica shows benches, the ends of quotas and trials as they were, and changes nothing of them', async () => {
  for (const replica of replicas.keys()) {
    const rows = await rowsOf(replica)
    expect(rows).toMatchObject({
      limited: { state: 'cooling', reason: 'limited' },
      denied: { state: 'cooling', reason: 'denied' },
      exhausted: { state: 'cooling', reason: 'exhausted' },
      operator: { state: 'cooling', reason: 'operator' },
      'empty-account': { state: 'cooling', reason: 'exhausted', remaining: 0, limit: 1000 },
      'empty-reply': { state: 'cooling', reason: 'exhausted', remaining: 0, limit: 60 },
      offender: { state: 'trial' },
      free: { state: 'active', remaining: 900, limit: 1000 },
    })
    const seconds = (['limited', 'denied', 'exhausted', 'operator'] as const).map((name) => rows[name].seconds ?? 0)
    const ends = [600, 3600, 864_000, 900]
    for (const [at, end] of ends.entries()) expect(Math.abs(end - (seconds[at] ?? 0))).toBeLessThan(60)
  }
  expect(await observer.call('HGETALL', benchesKey)).toEqual(before)
})

test('a strike of the previous release counts: a key that fails its trial rests eight times as long', async () => {
  fake.behave({ kind: 'status', status: 429, tokens: [secretOf('offender')] })
  await until(async () => {
    expect((await ask(0)).status).toBe(200)
    return (await rowsOf(1)).offender.state === 'cooling'
  })
  const { reason, seconds } = (await rowsOf(2)).offender
  expect(reason).toBe('limited')
  expect(Math.abs(8 * 60 - (seconds ?? 0))).toBeLessThan(60)
})

test('only keys that are neither benched nor empty are asked, whatever the product', async () => {
  const replies = await Promise.all(Array.from({ length: 30 }, (_, at) => ask(at)))
  replies.push(await ask(0, '/9.9.9.9/privacy'), await ask(1, '/AS15169'), await ask(2, '/9.9.9.10/city'))
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]))
  const { [secretOf('free')]: used = 0, [secretOf('offender')]: tried = 0, ...others } = fake.countByToken()
  expect(others).toEqual({})
  expect(tried).toBeGreaterThan(0)
  expect((await rowsOf(0)).free.remaining).toBe(900 - used)
})

test('a bench that a replica of the previous release makes meanwhile holds, and a release ends it', async () => {
  const untilMs = String(Date.now() + 300_000)
  const id = idOf('free')
  await observer.call('HSET', benchesKey, `${id}:until`, untilMs, `${id}:strikes`, '1', `${id}:reason`, 'limited')
  const refused = await ask(1)
  expect(refused.status).toBe(503)
  expect(Math.abs(Number(refused.headers.get('retry-after')) - 300)).toBeLessThan(60)
  await fetch(`${replicas[2]?.url}/keys/${id}/release`, { method: 'POST' })
  expect((await ask(0)).status).toBe(200)
})
