import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { observeRedis } from '@ipfleet/testing/redis-observer.ts'
import { until } from '@ipfleet/testing/until.ts'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { addressLines, type Answer, ApiGround } from './api-ground.ts'

/** What one client may have of the store, and what it is told when it has it. */
let ground: ApiGround
beforeAll(async () => {
  ground = await ApiGround.start({ maxStoredBytes: 100_000, maxJobs: 20 })
})
afterAll(() => ground[Symbol.asyncDispose]())

const post = (client: string, body: string): Promise<Answer> => ground.post(body, '/jobs', from(client))
const from = (client: string) => ({ 'x-forwarded-for': client })
const storage = async (client: string) => (await ground.ask('/jobs', { headers: from(client) })).json().storage

const byte = (): number => Math.floor(Math.random() * 256)

/** About 7 bytes a line, as it is stored. */
function randomLines(count: number): string {
  return Array.from({ length: count }, () => `${byte()}.${byte()}.${byte()}.${byte()}\n`).join('')
}

test('a list that can never fit is 413, with which limit, how much fits and what to do, and leaves nothing', async () => {
  const answer = await post('192.0.2.1', randomLines(20_000))
  expect(answer.status).toBe(413)
  const { message } = answer.json().error
  expect(message).toContain('50000 bytes that one client may store')
  expect(message).toContain('BULK_CLIENT_SHARE_PERCENT) of BULK_MAX_STORED_BYTES')
  expect(message).toContain('send it in parts')
  const fitting = Number(/About (\d+) lines/.exec(message)?.[1])
  expect(fitting).toBeGreaterThan(5000)
  const id = (await post('192.0.2.1', randomLines(Math.floor(fitting * 0.9)))).json().id
  await ground.ask(`/jobs/${id}`, { method: 'DELETE' })
  await ground.ask(`/jobs/${id}`, { method: 'DELETE' })
  await until(async () => (await storage('192.0.2.1')).bytes === 0)
  await using observer = await observeRedis(ground.redis.url)
  expect(((await observer.call('KEYS', '*bulk*')) as string[]).filter((key) => key.includes(':inputs'))).toEqual([])
})

test('a client over its share is told so, before it sends its list, while others have room', async () => {
  const jobs: string[] = []
  await until(async () => {
    const answer = await post('192.0.2.2', randomLines(2500))
    if (answer.status === 202) jobs.push(answer.json().id)
    return answer.status === 503
  })
  const refused = await until(async () => {
    const answer = await postHead('192.0.2.2')
    return answer.status === 503 && answer
  })
  expect(refused.retryAfter).toBe('60')
  expect(refused.body).toMatch(/Your jobs are \d+ bytes, as much as one client may have.*BULK_MAX_STORED_BYTES/)
  expect((await post('192.0.2.3', addressLines(2000))).status).toBe(202)
  expect(await storage('192.0.2.3')).toEqual({ bytes: expect.any(Number), max_bytes: 50_000, jobs: 1, max_jobs: 10 })
  expect((await storage('192.0.2.2')).bytes).toBeGreaterThan(40_000)
  for (const id of jobs) {
    await ground.finishAll(id)
    await ground.ask(`/jobs/${id}`, { method: 'DELETE' })
  }
  await until(async () => (await post('192.0.2.2', '8.8.8.8')).status === 202)
})

test('one client of IPv6 is its /64', async () => {
  await post('2001:db8:1:2::1', '8.8.8.8')
  expect((await storage('2001:db8:1:2:3:4:5:6')).jobs).toBe(1)
  expect((await storage('2001:db8:1:3::1')).jobs).toBe(0)
})

test('jobs are counted too: a client has its share of BULK_MAX_JOBS, also within one moment', async () => {
  const answers = await Promise.all(Array.from({ length: 12 }, (_, at) => post('192.0.2.4', `192.0.2.${at}`)))
  const statuses = answers.map(({ status }) => status)
  expect(statuses.filter((status) => status === 202)).toHaveLength(10)
  const refused = answers.find(({ status }) => status === 503)
  expect(refused?.json().error.message).toMatch(/Your jobs are 10 jobs.*BULK_MAX_JOBS/)
  expect((await post('192.0.2.5', '8.8.8.8')).status).toBe(202)
})

test('a large list that is not looked up yet leaves room to others', async () => {
  await using store = await ApiGround.start({ maxStoredBytes: 6_000_000 })
  await store.job(randomLines(99_000), '/jobs', from('192.0.2.1'))
  expect((await store.post(addressLines(5000), '/jobs', from('192.0.2.2'))).status).toBe(202)
})

/** A list of which the body does not come: the answer to its head. */
async function postHead(client: string): Promise<{ status?: number; retryAfter?: string; body: string }> {
  const req = request(`${ground.url}/jobs`, { method: 'POST', headers: from(client) }).on('error', () => {})
  req.flushHeaders()
  const timer = setTimeout(() => req.destroy(), 1000)
  try {
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    return { status: res.statusCode ?? 0, retryAfter: res.headers['retry-after'] ?? '', body: await text(res) }
  } catch {
    return { body: '' }
  } finally {
    clearTimeout(timer)
    req.destroy()
  }
}
