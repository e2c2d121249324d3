import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { type ManualClock, manualClock } from '@ipfleet/testing/manual-clock.ts'
import { beforeEach, describe, expect, test } from '@jest/globals'
import { noStore } from './answer-store.ts'
import { LruStore } from './lru-store.ts'
import type { Outcome } from './outcome.ts'
import type { Finding, LoadPurpose } from './finding.ts'
import { AnswerCache } from './answer-cache.ts'
import { loadAlone } from './flight/load.ts'
import { type Flight, loadingEach } from '../test/fakes.ts'

const freshForMs = 10_000
const revalidateForMs = 3000
const staleForMs = 60_000

let clock: ManualClock
let random: number
let flight: Flight
let cache: AnswerCache
/** Loads so far, by purpose; each takes `loadMs` and brings its number. */
let loads: LoadPurpose[]
let loadMs: number
let fails: boolean

beforeEach(() => {
  clock = manualClock(1000)
  // No request is ever chosen for an early refresh.
  random = 1
  loads = []
  loadMs = 0
  fails = false
  flight = { run: loadAlone }
  cache = new AnswerCache({
    memory: new LruStore({ maxEntries: 10, recheckAfterMs: 60_000 }),
    shared: noStore,
    flight: { run: (...call) => flight.run(...call) },
    staleForMs,
    revalidateForMs,
    clock,
    random: () => random,
  })
})

async function load(purpose: LoadPurpose): Promise<Outcome> {
  loads.push(purpose)
  clock.advance(loadMs)
  if (fails) return { kind: 'failure', code: 'upstream_failed' }
  const body = Buffer.from(String(loads.length))
  return { kind: 'answer', answer: { status: 200, contentType: 'text/plain', body }, freshForMs }
}

const find = (): Promise<Finding> => cache.find('q', loadingEach(load), clock.nowMs() + 5000)
const textOf = (finding: Finding): string | undefined =>
  finding.kind === 'found' ? finding.entry.answer.body.toString() : undefined
/** Lets what goes on in the background come to its end; it has no real waiting in it. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('stale-while-revalidate', () => {
  test('an entry just past its freshness is served at once and refreshed once in the background', async () => {
    await find()
    clock.advance(freshForMs)
    const found = await Promise.all([find(), find(), find()])
    expect(found.map(textOf)).toEqual(['1', '1', '1'])
    expect(found[0]).toMatchObject({ kind: 'found', source: 'stale' })
    await settled()
    expect(loads).toEqual(['answer', 'refresh'])
    expect(await find()).toMatchObject({ kind: 'found', source: 'l1' })
    expect(textOf(await find())).toBe('2')
  })

  test('past the window it is loaded while the client waits', async () => {
    await find()
    clock.advance(freshForMs + revalidateForMs)
    expect(await find()).toMatchObject({ kind: 'found', source: 'upstream' })
    expect(loads).toEqual(['answer', 'answer'])
  })

  test('a refresh that fails leaves the old entry in place', async () => {
    await find()
    clock.advance(freshForMs)
    fails = true
    await find()
    await settled()
    expect(textOf(await find())).toBe('1')
  })

  test('a replica whose fleet is refreshing already does nothing', async () => {
    await find()
    clock.advance(freshForMs)
    flight = { run: async () => Promise.reject(new ProxyError('upstream_timeout')) }
    expect(textOf(await find())).toBe('1')
    await settled()
    expect(loads).toEqual(['answer'])
  })

  test('a purge while it is refreshed forgets the refreshed one too', async () => {
    await find()
    clock.advance(freshForMs)
    const gate = Promise.withResolvers<void>()
    flight = {
      run: async (queries, callbacks) => {
        await gate.promise
        await loadAlone(queries, callbacks)
      },
    }
    await find()
    cache.forget()
    gate.resolve()
    await settled()
    expect(await find()).toMatchObject({ source: 'upstream' })
  })
})

describe('early refresh', () => {
  beforeEach(async () => {
    loadMs = 100
    await find()
    loadMs = 0
  })

  test('shortly before its end a request may be chosen to refresh an entry, which it is served all the same', async () => {
    clock.advance(freshForMs - 100)
    // -ln(0.3) = 1.2: this one counts the load, 100 ms, as 120, and 100 are left.
    random = 0.3
    expect(await find()).toMatchObject({ kind: 'found', source: 'l1' })
    await settled()
    expect(loads).toEqual(['answer', 'refresh'])
    clock.advance(200)
    expect(await find()).toMatchObject({ kind: 'found', source: 'l1' })
    expect(textOf(await find())).toBe('2')
  })

  test('most requests are not chosen', async () => {
    clock.advance(freshForMs - 100)
    random = 0.5
    await find()
    await settled()
    expect(loads).toEqual(['answer'])
  })

  test('long before its end none is', async () => {
    clock.advance(freshForMs / 2 - 1)
    random = Number.MIN_VALUE
    expect(await find()).toMatchObject({ source: 'l1' })
    await settled()
    expect(loads).toEqual(['answer'])
  })
})
