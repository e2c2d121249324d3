import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { LocalRateLimiter } from '../local-rate-limiter.ts'
import { ClientGuard } from './client-guard.ts'

const secret = 'one-client-token'
let guard: ClientGuard
beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['setImmediate'] })
  const [requests, units] = [new LocalRateLimiter(), new LocalRateLimiter()]
  const budget = { kind: 'sliding-window', limit: 100, windowMs: 86_400_000 } as const
  const limiters = { requests, units, members: () => 1, close: async () => {} }
  guard = new ClientGuard([{ secret, units: budget }], limiters, () => false)
})

afterEach(() => {
  jest.useRealTimers()
})

/** A request of the client, and the answer to it. */
function requestOf(method: string): readonly [IncomingMessage, ServerResponse] {
  const req = new IncomingMessage(new Socket())
  Object.assign(req, { method, url: '/batch', headers: { authorization: `Bearer ${secret}` } })
  return [req, new ServerResponse(req)]
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await nextTurn()
}

/** How many of three lists may go on, of so many items each, where none ends. */
async function countOf(items: number): Promise<number> {
  let count = 0
  for (let list = 0; list < 3; list += 1) {
    const [req, res] = requestOf('POST')
    const admission = await guard.admit(req, res)
    guard.reserve(res, admission, items).then(
      () => (count += 1),
      () => {},
    )
  }
  await settled()
  return count
}

test.each([
  { items: 10, count: 3 },
  { items: 51, count: 1 },
  { items: 1000, count: 1 },
])('of lists of $items items $count may be under way at a time, of 100 units', async ({ items, count }) => {
  expect(await countOf(items)).toBe(count)
})

test('an upload that is not read yet keeps nothing from others', async () => {
  await guard.admit(...requestOf('POST'))
  let isIn = false
  void guard.admit(...requestOf('GET')).then(() => (isIn = true))
  await settled()
  expect(isIn).toBe(true)
  expect(await countOf(99)).toBe(1)
})

test('a list for which there is no room is refused for a second, and is not under way then', async () => {
  expect(await countOf(60)).toBe(1)
  const [req, res] = requestOf('POST')
  const admission = await guard.admit(req, res)
  const refusal = guard.reserve(res, admission, 60).catch((error: unknown) => error)
  await settled()
  jest.advanceTimersByTime(5000)
  expect(await refusal).toMatchObject({ code: 'rate_limited', retryAfterSeconds: 1 })
  expect(guard.counts).toMatchObject({ over_units: 3 })
  guard.settle(res, admission, 0)
  expect(await countOf(40)).toBe(1)
})
