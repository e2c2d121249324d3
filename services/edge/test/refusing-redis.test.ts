import { observeRedis, type RedisObserver } from '@ipfleet/testing/redis-observer.ts'
import { makeNobody, makeReadmeUser, refusedASecond, urlOf } from '@ipfleet/testing/redis-users.ts'
import { RecordingBackend } from '@ipfleet/testing/recording-backend.ts'
import type { LogLine } from '@ipfleet/testing/service-process.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { ask } from './ask.ts'
import { startEdge } from './start-edge.ts'
import { metricIn } from './worker-fleet.ts'

const sliding = '[rate_limit]\nalgorithm = "sliding-window"\nwindow_seconds = 60\nmax_requests = 1000'
const bucket = '[rate_limit]\nalgorithm = "token-bucket"\nburst = 1000\nrefill_per_second = 1'
let redis: TestRedis
let observer: RedisObserver
let backend: RecordingBackend

beforeAll(async () => {
  redis = await startTestRedis()
  observer = await observeRedis(redis.url)
  backend = await RecordingBackend.start()
  await makeNobody(observer)
  await makeReadmeUser(observer, 'edge')
})

afterAll(async () => {
  await observer[Symbol.asyncDispose]()
  await Promise.all([backend[Symbol.asyncDispose](), redis.stop()])
})

const isOfRedis = ({ msg }: LogLine): boolean => String(msg).startsWith('redis is away')
const isUp = async (port: number) => metricIn((await ask(port, '/metrics')).body, 'ipfleet_edge_redis_up') === 1

test.each([
  ['the password', () => urlOf('nobody', redis.url, 'canary'), /refuses the user or the password/],
  ['every command', () => urlOf('nobody', redis.url), /may not do/],
])('a Redis that refuses %s is told once and not pestered; requests and SIGTERM work', async (_what, url, reason) => {
  const edge = await startEdge({ backends: [backend.port], tables: sliding, env: { REDIS_URL: url() } })
  const line = await edge.waitForLine(isOfRedis)
  expect(line['reason']).toMatch(reason)
  expect(await refusedASecond(observer)).toBeLessThan(100)
  expect((await ask(edge.port, '/')).status).toBe(200)
  expect(await edge.stop()).toEqual({ code: 0, signal: null })
  expect(edge.lines().filter(isOfRedis)).toHaveLength(1)
  expect(edge.output()).not.toContain('canary')
})

test.each([
  ['a sliding window', sliding],
  ['a token bucket', bucket],
])('the user of the README may do what two edges with %s do', async (_name, tables) => {
  await observer.call('ACL', 'LOG', 'RESET')
  const env = { REDIS_URL: urlOf('edge', redis.url), REDIS_TIMEOUT_MS: '5000' }
  const edges = await Promise.all([1, 2].map(() => startEdge({ backends: [backend.port], tables, env })))
  for (const { port } of edges) await until(() => isUp(port))
  const statuses = await Promise.all(Array.from({ length: 20 }, (_, at) => ask(edges[at % 2]?.port ?? 0, '/')))
  expect(new Set(statuses.map(({ status }) => status))).toEqual(new Set([200]))
  expect(await observer.call('KEYS', 'ipfleet:limit:*')).not.toEqual([])
  for (const edge of edges) expect((await edge.stop()).code).toBe(0)
  expect(await observer.call('ACL', 'LOG')).toEqual([])
})
