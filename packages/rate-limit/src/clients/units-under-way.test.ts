import { setImmediate as nextTurn } from 'node:timers/promises'
import { manualClock, type ManualClock } from '@ipfleet/testing/manual-clock.ts'
import type { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import type { Decision } from '../rate-limiter.ts'
import { type Entry, UnitsUnderWay } from './units-under-way.ts'

let left: number
let members: number
let isShare: boolean
let clock: ManualClock
let underWay: UnitsUnderWay
beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['setImmediate'] })
  left = 10
  members = 1
  isShare = false
  clock = manualClock()
  underWay = new UnitsUnderWay(() => members, clock)
})
afterEach(() => {
  jest.useRealTimers()
})

const check = async (): Promise<Decision> => {
  const standing = { limit: 10, remaining: left, resetMs: 1000, ...(isShare && { isShare }) }
  return left > 0 ? { kind: 'allowed', ...standing } : { kind: 'limited', retryAfterMs: 1000, ...standing }
}

const entryOf = (maxUnits: number, given: Partial<Entry> = {}): Entry => ({
  maxUnits,
  check,
  hasLeft: () => false,
  ...given,
})
/** So many requests at once; `kinds` are those that have been let in or refused by now. */
function enter(count: number, maxUnits = 1, given: Partial<Entry> = {}): { readonly kinds: readonly string[] } {
  const kinds: string[] = []
  for (let one = 0; one < count; one += 1) {
    underWay.enter('a', entryOf(maxUnits, given)).then(
      ({ kind }) => kinds.push(kind),
      ({ code }: ProxyError) => kinds.push(code),
    )
  }
  return { kinds }
}
/** All that can go on without an end has done so. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await nextTurn()
}
const end = (cost: number, maxUnits = 1): void => {
  left -= cost
  underWay.leave('a', maxUnits)
}
const pass = async (ms: number): Promise<void> => {
  clock.advance(ms)
  jest.advanceTimersByTime(ms)
  await settled()
}
const allowed = (count: number): string[] => Array(count).fill('allowed')

test('as many are under way as there are units', async () => {
  const requests = enter(30)
  await settled()
  expect(requests.kinds).toEqual(allowed(10))
})

test('what costs nothing lets the next one in', async () => {
  const requests = enter(12)
  await settled()
  end(0)
  await settled()
  expect(requests.kinds).toEqual(allowed(11))
})

test('those that wait are refused once nothing is left', async () => {
  const requests = enter(12)
  await settled()
  for (let one = 0; one < 10; one += 1) end(1)
  await settled()
  expect(requests.kinds).toEqual([...allowed(10), 'limited', 'limited'])
})

test('of several processes each takes its part, and one request at the least', async () => {
  members = 4
  const requests = enter(9)
  await settled()
  expect(requests.kinds).toEqual(allowed(2))
  left = 1
  end(0)
  end(0)
  await settled()
  expect(requests.kinds).toEqual(allowed(3))
})

test('what is this process’s share already is not divided again', async () => {
  members = 4
  isShare = true
  const requests = enter(12)
  await settled()
  expect(requests.kinds).toEqual(allowed(10))
})

test('what may cost more than there is goes alone', async () => {
  const lists = enter(3, 1000)
  await settled()
  expect(lists.kinds).toEqual(allowed(1))
  end(4, 1000)
  await settled()
  expect(lists.kinds).toEqual(allowed(2))
  end(40, 1000)
  await settled()
  expect(lists.kinds).toEqual([...allowed(2), 'limited'])
})

test('what finds no room within five seconds is refused for a second, and no more are under way than may be', async () => {
  const upload = enter(1, 1000)
  await settled()
  const requests = enter(500)
  await settled()
  await pass(4999)
  expect([upload.kinds, requests.kinds]).toEqual([allowed(1), []])
  const last = underWay.enter('a', entryOf(1))
  await pass(1)
  expect(requests.kinds).toEqual(Array(500).fill('limited'))
  await pass(4999)
  expect(await last).toMatchObject({ kind: 'limited', retryAfterMs: 1000, remaining: 10 })
})

test('what fits does not wait for what does not', async () => {
  enter(4)
  await settled()
  const list = enter(1, 10)
  await settled()
  const requests = enter(3)
  await settled()
  expect([list.kinds, requests.kinds]).toEqual([[], allowed(3)])
})

test('those that come together do not wait for each other’s checks', async () => {
  const { promise, resolve } = Promise.withResolvers<Decision>()
  let asked = 0
  const requests = enter(10, 1, { check: () => ((asked += 1), promise) })
  await settled()
  expect(asked).toBe(10)
  resolve(await check())
  await settled()
  expect(requests.kinds).toEqual(allowed(10))
})

test('a client that has left takes no place, and no other waits for it', async () => {
  enter(10)
  await settled()
  let hasLeft = false
  const gone = enter(1, 1, { hasLeft: () => hasLeft })
  const next = enter(1)
  await settled()
  hasLeft = true
  end(0)
  await settled()
  expect([gone.kinds, next.kinds]).toEqual([['client_left'], allowed(1)])
})

test('what ends while it is asked what is left is asked for again', async () => {
  left = 1
  const [first, second] = [enter(1), Promise.withResolvers<Decision>()]
  await settled()
  const late = await check()
  let asked = 0
  const next = underWay.enter('a', entryOf(1, { check: () => (asked++ === 0 ? second.promise : check()) }))
  await settled()
  end(1)
  second.resolve(late)
  expect([first.kinds, (await next).kind, asked]).toEqual([allowed(1), 'limited', 2])
})

test('a check that fails keeps out no other', async () => {
  const failing = underWay.enter('a', entryOf(1, { check: () => Promise.reject(new Error('no')) }))
  const next = underWay.enter('a', entryOf(1))
  await expect(failing).rejects.toThrow('no')
  expect((await next).kind).toBe('allowed')
})

test('clients do not wait for each other', async () => {
  left = 1
  enter(5)
  await settled()
  expect((await underWay.enter('b', entryOf(1))).kind).toBe('allowed')
})
