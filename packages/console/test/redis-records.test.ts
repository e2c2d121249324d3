import { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { observeRedis, type RedisObserver } from '@ipfleet/testing/redis-observer.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { SessionStore } from '../src/access/session-store.ts'
import { FlowRecorder, noFlow } from '../src/flow/flow-recorder.ts'
import { indexKey, recordKey } from '../src/presence/presence.ts'
import { readPresence } from '../src/presence/read-presence.ts'

/** What the console keeps in Redis: how long, and what it makes of what another release or another hand has written. */
let redis: TestRedis
let link: RedisLink
let server: RedisObserver
beforeAll(async () => {
  redis = await startTestRedis()
  link = new RedisLink({ url: redis.url, name: 'console-test', timeoutMs: 15_000 })
  server = await observeRedis(redis.url)
  await until(() => link.up)
})
afterAll(async () => {
  link.close()
  await server[Symbol.asyncDispose]()
  await redis.stop()
})
beforeEach(() => server.call('FLUSHALL'))

const hourMs = 3_600_000
const record = (version: string): string =>
  JSON.stringify({ service: 'lookup', version, startedAt: '2026-12-01T08:00:00.000Z', state: 'ok' })

async function note(id: string, seenMs: number, text: string): Promise<void> {
  await server.call('ZADD', indexKey(link), String(seenMs), id)
  await server.call('SET', recordKey(link, id), text)
}

test.each(['{"id":', 'null', '[]', '{"service":"lookup"}', '{"id":"bad","service":"cache","state":"ok"}'])(
  'a record of a process that is %s hides no other',
  async (text) => {
    await note('bad', Date.now(), text)
    await note('b', Date.now(), record('2'))
    await note('a', Date.now(), record('1'))
    const seen = await readPresence(link)
    expect(seen.map(({ id, version }) => [id, version])).toEqual([
      ['a', '1'],
      ['b', '2'],
    ])
  },
)

test('of more than a thousand processes those are read that were seen last', async () => {
  const old = Array.from({ length: 1000 }, (_, index) => ['1', `old-${index}`]).flat()
  await server.call('ZADD', indexKey(link), ...old)
  await note('fresh', Date.now(), record('1'))
  expect((await readPresence(link)).map(({ id }) => id)).toEqual(['fresh'])
})

test('counts of another shape count for nothing, and hide no others', async () => {
  const nowMs = Date.now()
  const recorder = new FlowRecorder({ link, totals: () => noFlow, epochMs: () => nowMs })
  const key = link.names.key('flow', 'flow', String(Math.floor(nowMs / 60_000)))
  const values = ['{"asked":', 'null', '[1]', '{"asked":"9","memory":{}}', '{"asked":5,"memory":4,"failed":1,"more":7}']
  await server.call('HSET', key, ...values.flatMap((value, index) => [`replica-${index}`, value]))
  const minutes = await recorder.minutes()
  await recorder.close()
  expect(minutes.at(-1)).toMatchObject({ ...noFlow, asked: 5, memory: 4, failed: 1 })
})

test('a session is kept for 8 hours after each use, and for no more than 24 in all', async () => {
  const startMs = Date.now()
  let nowMs = startMs
  const store = new SessionStore({ link, epochMs: () => nowMs })
  await store.save('id', { proof: 'proof', createdMs: startMs })
  const [key = ''] = (await server.call('KEYS', '*console-session*')) as string[]
  const keptHours = async (): Promise<number> => Math.round(Number(await server.call('PTTL', key)) / hourMs)
  expect(await keptHours()).toBe(8)
  nowMs = startMs + 20 * hourMs
  expect(await store.find('id', false)).toBeDefined()
  expect(await keptHours()).toBe(8)
  expect(await store.find('id', true)).toBeDefined()
  expect(await keptHours()).toBe(4)
  nowMs = startMs + 24 * hourMs
  expect(await store.find('id', true)).toBeUndefined()
})

test.each(['{', 'null', '[]', '"proof"', '{"proof":7,"createdMs":1}', '{"proof":"proof"}'])(
  'a session that is %s is none',
  async (text) => {
    const write = new SessionStore({ link, epochMs: Date.now })
    await write.save('id', { proof: 'proof', createdMs: Date.now() })
    const [key = ''] = (await server.call('KEYS', '*console-session*')) as string[]
    await server.call('SET', key, text)
    expect(await new SessionStore({ link, epochMs: Date.now }).find('id', true)).toBeUndefined()
  },
)
