import { expect, test } from '@jest/globals'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { SessionStore } from './session-store.ts'

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
