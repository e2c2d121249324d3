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

/** How many of three such uploads are let in where none ends. */
async function admitted(fields: Readonly<Record<string, string>>): Promise<number> {
  let count = 0
  for (let upload = 0; upload < 3; upload += 1) {
    const req = new IncomingMessage(new Socket())
    Object.assign(req, { method: 'POST', url: '/batch', headers: { authorization: `Bearer ${secret}`, ...fields } })
    void guard.admit(req, new ServerResponse(req)).then(() => (count += 1))
  }
  for (let turn = 0; turn < 50; turn += 1) await nextTurn()
  return count
}

test.each([
  ['a short list', { 'content-length': '40' }, 3],
  ['a list that may cost more than half of what is left', { 'content-length': '204' }, 1],
  ['a packed list', { 'content-length': '40', 'content-encoding': 'gzip' }, 1],
  ['a list of unknown length', {}, 1],
])('%s keeps from others what it may cost, as its head tells', async (_, fields, count) => {
  expect(await admitted(fields)).toBe(count)
})
