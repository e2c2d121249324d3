import { beforeEach, expect, test } from '@jest/globals'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { flightOver, loadingEach, mapStore } from '../test/fakes.ts'
import { AnswerCache } from './answer-cache.ts'
import type { AnswerStore } from './answer-store.ts'
import { Entry } from './entry.ts'
import type { Lease } from './flight/leases.ts'
import { LruStore } from './lru-store.ts'
import type { Outcome } from './outcome.ts'

/** A replica that has found nothing in the shared tier for a while: it asks for the lease together with the look-up. */
const freshForMs = 10_000
const answer = { status: 200, contentType: 'text/plain', body: Buffer.from('body') }
const outcome: Outcome = { kind: 'answer', answer, freshForMs }
const clock = manualClock(100_000)
let stored: Map<string, Entry>
let events: string[]
let held: Set<string>
let look: AnswerStore['getMany']
let claimed: () => Promise<void>
let cache: AnswerCache

const lease: Lease = {
  guards: () => true,
  isSure: () => true,
  extend: async () => {},
  release: async (subjects) => subjects.forEach((subject) => (held.delete(subject), events.push('lease back'))),
  publish: async (outcomes) => {
    for (const { subject } of outcomes) held.delete(subject)
    return new Set(outcomes.map(({ subject }) => subject))
  },
}
const find = (query: string) =>
  cache.find(
    query,
    loadingEach(async (purpose) => (events.push(`load for ${purpose}`), outcome)),
    200_000,
  )

beforeEach(async () => {
  stored = new Map()
  events = []
  held = new Set()
  const tier = mapStore(stored)
  look = (queries) => tier.getMany(queries)
  claimed = async () => {}
  const flight = flightOver(async (subjects) => {
    events.push('claim')
    await claimed()
    if (subjects.some((subject) => held.has(subject))) return { claims: [{ kind: 'held' }], lease: undefined }
    for (const subject of subjects) held.add(subject)
    return { claims: subjects.map(() => ({ kind: 'leased' })), lease }
  })
  cache = new AnswerCache({
    memory: new LruStore({ maxEntries: 100, recheckAfterMs: 1000 }),
    shared: { ...tier, getMany: (queries) => (events.push('look'), look(queries)) },
    flight,
    staleForMs: 50_000,
    revalidateForMs: 5000,
    clock,
    random: () => 1,
  })
  for (let count = 0; count < 20; count += 1) await find(`miss ${count}`)
  events = []
  held.clear()
})

test('loads once both have ended, and not before', async () => {
  const looked = Promise.withResolvers<void>()
  look = async () => (await looked.promise, new Map())
  const finding = find('a')
  expect(events).toEqual(['look', 'claim'])
  await new Promise(setImmediate)
  expect(events).toEqual(['look', 'claim'])
  looked.resolve()
  expect(await finding).toMatchObject({ kind: 'found', source: 'upstream' })
  expect(events).toEqual(['look', 'claim', 'load for answer'])
})

test('gives the lease back, and loads nothing, when the look-up finds the answer', async () => {
  stored.set('a', new Entry(answer, clock.nowMs(), freshForMs))
  expect(await find('a')).toMatchObject({ kind: 'found', source: 'l2' })
  await new Promise(setImmediate)
  expect([events, [...held]]).toEqual([['look', 'claim', 'lease back'], []])
})

test('answers what was found without waiting for the lease', async () => {
  stored.set('a', new Entry(answer, clock.nowMs(), freshForMs))
  const granted = Promise.withResolvers<void>()
  claimed = () => granted.promise
  expect(await find('a')).toMatchObject({ kind: 'found', source: 'l2' })
  granted.resolve()
  await new Promise(setImmediate)
  expect([...held]).toEqual([])
})

test('refreshes a stale answer under a lease of its own', async () => {
  stored.set('a', new Entry(answer, clock.nowMs() - freshForMs - 1, freshForMs))
  expect(await find('a')).toMatchObject({ kind: 'found', source: 'stale' })
  while (!events.includes('load for refresh')) await new Promise(setImmediate)
  expect(events).toEqual(['look', 'claim', 'lease back', 'claim', 'load for refresh'])
})

test('answers what was found although the leases cannot be asked for', async () => {
  stored.set('a', new Entry(answer, clock.nowMs(), freshForMs))
  claimed = async () => Promise.reject(new Error('broken'))
  expect(await find('a')).toMatchObject({ kind: 'found', source: 'l2' })
})

test('fails as before, and keeps no lease, when the look-up breaks', async () => {
  look = async () => Promise.reject(new Error('broken look-up'))
  await expect(find('a')).rejects.toThrow('broken look-up')
  await new Promise(setImmediate)
  expect([...held]).toEqual([])
})

test('asks for no lease ahead once answers are found again', async () => {
  for (let count = 0; count < 8; count += 1) {
    stored.set(`hit ${count}`, new Entry(answer, clock.nowMs(), freshForMs))
    await find(`hit ${count}`)
  }
  events = []
  stored.set('a', new Entry(answer, clock.nowMs(), freshForMs))
  expect(await find('a')).toMatchObject({ source: 'l2' })
  expect(events).toEqual(['look'])
})
