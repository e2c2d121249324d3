import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { observeRedis, type RedisObserver } from '@ipfleet/testing/redis-observer.ts'
import { addresses } from '@ipfleet/testing/public-addresses.ts'
import { BulkHarness } from './bulk-harness.ts'

let harness: BulkHarness
let observer: RedisObserver

beforeAll(async () => {
  harness = await BulkHarness.start({ services: 0 })
  observer = await observeRedis(harness.redis.url)
  const readme = await readFile(fileURLToPath(new URL('../README.md', import.meta.url)), 'utf8')
  const [rule = ''] = /^ACL SETUSER .*$/m.exec(readme) ?? []
  await observer.call(...(rule.split(' ') as [string]))
  await observer.call('ACL', 'SETUSER', 'weak', 'on', '>PASSWORD', '~ipfleet:*', '&ipfleet:*', '+@all', '-evalsha')
})

afterAll(async () => {
  await observer[Symbol.asyncDispose]()
  await harness.stop()
})

const urlOf = (userInfo: string, path = ''): string => harness.redis.url.replace('//', `//${userInfo}@`) + path

test('a user who may do what the README lists, and no more, is enough', async () => {
  await observer.call('ACL', 'LOG', 'RESET')
  const service = await harness.join({ REDIS_URL: urlOf('bulk:PASSWORD') })
  const id = await harness.post(addresses(30).join('\n'))
  expect((await harness.waitFor(id, 'completed')).lines).toMatchObject({ done: 30, errors: 0 })
  expect((await harness.results(id)).trim().split('\n')).toHaveLength(30)
  expect((await fetch(`${harness.url}/jobs/${id}`, { method: 'DELETE' })).status).toBeLessThan(300)
  expect(await observer.call('ACL', 'LOG')).toEqual([])
  expect((await service.stop()).code).toBe(0)
})

test.each([
  ['a wrong password', () => urlOf('bulk:canary'), 'WRONGPASS', /refuses the user or the password/],
  ['a database that does not exist', () => `${harness.redis.url}/99`, 'DB', /no database/],
  ['a user without a command', () => urlOf('weak:PASSWORD'), 'NOPERM', /may not do/],
  ['nothing there', () => 'redis://127.0.0.1:1', 'ECONNREFUSED', /nothing listens/],
])('with %s bulk says so once, answers 503, and stops when told', async (_name, url, code, reason) => {
  const service = await harness.join({ REDIS_URL: url() })
  const line = await service.waitForLine(({ msg }) => String(msg).startsWith('redis is away'))
  expect(line['reason']).toMatch(reason)
  const refused = await fetch(`${service.url}/jobs`, { method: 'POST', body: '8.8.8.8' })
  expect([refused.status, await refused.text()]).toEqual([503, expect.stringContaining(code)])
  const health = (await (await fetch(`${service.url}/health`)).json()) as { status: string; redis: object }
  expect(health).toMatchObject({
    status: 'degraded',
    reason: expect.stringMatching(reason),
    redis: { state: 'down', since: expect.any(String) },
  })
  expect((await service.stop()).code).toBe(0)
  expect(service.lines().filter(({ msg }) => String(msg).startsWith('redis is away'))).toHaveLength(1)
  expect(service.output()).not.toContain('canary')
})
