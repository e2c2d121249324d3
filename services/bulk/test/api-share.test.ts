import { once } from 'node:events'
import { type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { brotliCompressSync, zstdCompressSync } from 'node:zlib'
import { observeRedis } from '@ipfleet/testing/redis-observer.ts'
import { until } from '@ipfleet/testing/until.ts'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { addressLines, type Answer, ApiHarness } from './api-harness.ts'

/** What one client may have of the store, and what it is told when it has it. */
let harness: ApiHarness
beforeAll(async () => {
  harness = await ApiHarness.start({ maxStoredBytes: 100_000, maxJobs: 20 })
})
afterAll(() => harness[Symbol.asyncDispose]())

const post = (client: string, body: string): Promise<Answer> => harness.post(body, '/jobs', from(client))
const from = (client: string) => ({ 'x-forwarded-for': client })
const storage = async (client: string) => (await harness.ask('/jobs', { headers: from(client) })).json().storage

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
  await harness.ask(`/jobs/${id}`, { method: 'DELETE' })
  await harness.ask(`/jobs/${id}`, { method: 'DELETE' })
  await until(async () => (await storage('192.0.2.1')).bytes === 0)
  await using observer = await observeRedis(harness.redis.url)
  expect(((await observer.call('KEYS', '*bulk*')) as string[]).filter((key) => key.includes(':inputs'))).toEqual([])
})

test('a client over its share is told so, before it sends its list, while others have room', async () => {
  const jobs: string[] = []
  const stored = async (): Promise<number> =>
    (await Promise.all(jobs.map((id) => harness.read(id)))).reduce((sum, { storedBytes }) => sum + storedBytes, 0)
  // Results may go beyond the share; a list that does leaves nothing.
  while ((await stored()) <= 50_000) {
    const answer = await post('192.0.2.2', randomLines(500))
    if (answer.status !== 202) continue
    jobs.push(answer.json().id)
    await harness.finishAll(answer.json().id)
  }
  await until(async () => (await storage('192.0.2.2')).bytes > 50_000)
  const unread = await unfinishedList(harness, '192.0.2.2')
  const refused = await unread.response
  expect([refused.statusCode, refused.headers['retry-after']]).toEqual([503, '60'])
  expect(await text(refused)).toMatch(/Your jobs are \d+ bytes, as much as one client may have.*BULK_MAX_STORED_BYTES/)
  unread.leave()
  expect((await post('192.0.2.3', addressLines(2000))).status).toBe(202)
  expect(await storage('192.0.2.3')).toEqual({ bytes: expect.any(Number), max_bytes: 50_000, jobs: 1, max_jobs: 10 })
  expect((await storage('192.0.2.2')).bytes).toBeGreaterThan(40_000)
  for (const id of jobs) await harness.ask(`/jobs/${id}`, { method: 'DELETE' })
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
  await using store = await ApiHarness.start({ maxStoredBytes: 6_000_000 })
  await store.job(randomLines(99_000), '/jobs', from('192.0.2.1'))
  expect((await store.post(addressLines(5000), '/jobs', from('192.0.2.2'))).status).toBe(202)
})

test('lists that never end: a client has its share of uploads, others have theirs, and nothing stays', async () => {
  await using busy = await ApiHarness.start()
  const unfinished = await Promise.all(Array.from({ length: 33 }, () => unfinishedList(busy, '192.0.2.1')))
  const refused = await Promise.race(unfinished.map(({ response }) => response))
  expect([refused.statusCode, refused.headers['retry-after']]).toEqual([429, '1'])
  expect(await text(refused)).toMatch(/as many uploads at a time as one client may.*BULK_UPLOAD_MEMORY_BYTES/)
  const zstd = { ...from('192.0.2.2'), 'content-encoding': 'zstd' }
  expect((await busy.post(zstdCompressSync('8.8.8.8\n'), '/jobs', zstd)).status).toBe(202)
  for (let others = 0; others < 32; others += 1) unfinished.push(await unfinishedList(busy, `192.0.3.${others}`))
  const full = await busy.post('8.8.8.8', '/jobs', from('192.0.2.3'))
  expect([full.status, full.json().error.message]).toEqual([503, expect.stringContaining('BULK_UPLOAD_MEMORY_BYTES')])
  for (const { leave } of unfinished) leave()
  await until(async () => (await Array.fromAsync(busy.store.all())).length === 1)
  expect((await busy.post('8.8.8.8', '/jobs', from('192.0.2.1'))).status).toBe(202)
})

test('a coding that takes a large window takes its room', async () => {
  await using busy = await ApiHarness.start()
  const brotli = brotliCompressSync(randomLines(3000))
  const coded = { 'content-encoding': 'br' }
  const held = [await unfinishedList(busy, '192.0.2.1', coded, brotli.subarray(0, 9000))]
  await until(async () => (await Array.fromAsync(busy.store.all())).length === 1)
  const answer = await busy.post(brotli, '/jobs', { ...from('192.0.2.1'), ...coded })
  expect([answer.status, answer.json().error.message]).toEqual([429, expect.stringContaining('uploads')])
  expect((await busy.post(brotli, '/jobs', { ...from('192.0.2.2'), ...coded })).status).toBe(202)
  for (const { leave } of held) leave()
})

test.each([
  ['events', 'followers', 5],
  ['results?follow=1', 'downloads', 10],
])('a client has its share of those who wait for %s', async (path, what, share) => {
  await using busy = await ApiHarness.start({ maxFollowers: 10 })
  const id = await busy.job(2000)
  const open = (client: string) => busy.open(`/jobs/${id}/${path}`, { headers: from(client) })
  const mine = await Promise.all(Array.from({ length: share }, () => open('192.0.2.1')))
  expect(mine.map(({ statusCode }) => statusCode)).toEqual(mine.map(() => 200))
  const refused = await open('192.0.2.1')
  expect([refused.statusCode, await text(refused)]).toEqual([429, expect.stringContaining(`as many ${what} at a time`)])
  const theirs = await Promise.all(Array.from({ length: share }, (_, at) => open(`192.0.2.${10 + at}`)))
  expect(theirs.map(({ statusCode }) => statusCode)).toEqual(theirs.map(() => 200))
  const full = await open('192.0.2.2')
  expect([full.statusCode, await text(full)]).toEqual([503, expect.stringContaining(`BULK_MAX_${what.toUpperCase()}`)])
  for (const answer of [...mine, ...theirs]) answer.destroy()
  const again = await until(async () => {
    const answer = await open('192.0.2.1')
    return answer.statusCode === 200 && answer
  })
  again.destroy()
})

test('a token is asked for before the list is read', async () => {
  await using guarded = await ApiHarness.start({ tokens: [{ name: 'a', secret: 'a-known-token' }] })
  const { response, leave } = await unfinishedList(guarded, '192.0.2.1')
  expect((await response).statusCode).toBe(401)
  expect(await Array.fromAsync(guarded.store.all())).toEqual([])
  leave()
})

interface UnfinishedList {
  readonly response: Promise<IncomingMessage>
  readonly leave: () => void
}

/** A list of which the rest does not come. Resolves when its job has begun, or it has an answer. */
async function unfinishedList(
  place: ApiHarness,
  client: string,
  headers: OutgoingHttpHeaders = {},
  body: string | Buffer = '8.8.8.8\n',
): Promise<UnfinishedList> {
  const asked = { 'content-type': 'text/plain', expect: '100-continue', ...from(client), ...headers }
  const req = request(`${place.url}/jobs`, { method: 'POST', headers: asked, agent: false }).on('error', () => {})
  const response = new Promise<IncomingMessage>((resolve) => void req.once('response', resolve))
  req.flushHeaders()
  await Promise.race([once(req, 'continue'), response])
  req.write(body)
  return { response, leave: () => req.destroy() }
}
