import { expect, test } from '@jest/globals'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { SessionStore } from './session-store.ts'

const hourMs = 3_600_000

test.each([
  ['idle for less than eight hours', [7.99], true],
  ['idle for eight hours', [8], false],
  ['used again and again, for less than 24 hours', [7, 14, 21, 23.99], true],
  ['used again and again, for 24 hours', [7, 14, 21, 24], false],
  ['idle for eight hours after some use', [7, 15], false],
] as const)('a session, %s: %j is %s', async (_name, hours, isThere) => {
  let nowMs = 0
  const store = new SessionStore({ link: undefined, epochMs: () => nowMs })
  await store.save('id', { proof: 'proof', createdMs: 0 })
  let found: unknown
  for (const hour of hours) {
    nowMs = hour * hourMs
    found = await store.find('id', true)
  }
  expect(found !== undefined).toBe(isThere)
})

test('what goes on by itself, as a stream does, keeps no session from ending', async () => {
  let nowMs = 0
  const store = new SessionStore({ link: undefined, epochMs: () => nowMs })
  await store.save('id', { proof: 'proof', createdMs: 0 })
  nowMs = 7 * hourMs
  expect(await store.find('id', false)).toBeDefined()
  nowMs = 8 * hourMs
  expect(await store.find('id', false)).toBeUndefined()
})

test('a session that ends while Redis is away costs one try, however many have ended before', async () => {
  let tries = 0
  const away = {
    on: () => away,
    run: async () => {
      tries += 1
      throw new RedisUnavailable('down')
    },
  } as unknown as RedisLink
  const store = new SessionStore({ link: away, epochMs: () => 0 })
  for (let ended = 0; ended < 100; ended += 1) await store.remove(`session-${ended}`)
  expect(tries).toBe(100)
})
