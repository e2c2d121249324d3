import { expect, test } from '@jest/globals'
import { startLocalFleet } from './local-fleet.ts'

test('misses of one client wait for themselves: those of another are answered, while the first is told of too many', async () => {
  const env = { TRUST_PROXY: '127.0.0.0/8', UPSTREAM_CONCURRENCY: '4' }
  await using fleet = await startLocalFleet({ env, fake: { latencyMs: 20 } })
  const ask = (from: string, path: string) => fleet.ask(path, { headers: { 'x-forwarded-for': from } })
  const flood = Array.from({ length: 100 }, (_, index) => ask('9.9.9.9', `/1.2.3.${index}`))
  // The first refusal says that its places are taken.
  await Promise.any(flood.map(async (reply) => ((await reply).status === 503 ? true : Promise.reject())))
  const others = await Promise.all(Array.from({ length: 8 }, (_, index) => ask('8.8.4.4', `/4.3.2.${index}`)))
  expect(others.map(({ status }) => status)).toEqual(Array(8).fill(200))
  const statuses = (await Promise.all(flood)).map(({ status }) => status)
  expect(new Set(statuses)).toEqual(new Set([200, 503]))
})
