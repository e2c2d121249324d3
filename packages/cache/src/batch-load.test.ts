import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { type FlightResult, loadAlone } from './flight/load.ts'
import { type ManualClock, manualClock } from '@ipfleet/testing/manual-clock.ts'
import { beforeEach, describe, expect, test } from '@jest/globals'
import { AnswerCache } from './answer-cache.ts'
import { type AnswerStore, resilientStore } from './answer-store.ts'
import type { LoadMany } from './finding.ts'
import { Entry } from './entry.ts'
import { LruStore } from './lru-store.ts'
import type { Outcome, SharedOutcome } from './outcome.ts'
import type { Finding, LoadPurpose } from './finding.ts'
import { away, awayFlight, awayStore, type Flight, flightOver, loadingEach, mapStore } from '../test/fakes.ts'

const freshForMs = 10_000
const recheckAfterMs = 1000
const staleForMs = 50_000
const revalidateForMs = 5000

const answerOf = (text: string): Entry['answer'] => ({
  status: 200,
  contentType: 'text/plain',
  body: Buffer.from(text),
})
const outcomeOf = (text: string, forMs = freshForMs): Outcome => ({
  kind: 'answer',
  answer: answerOf(text),
  freshForMs: forMs,
})
const failure: Outcome = { kind: 'failure', code: 'upstream_failed' }

let clock: ManualClock
let stored: Map<string, Entry>
let shared: AnswerStore
let flight: Flight
let memory: LruStore
let cache: AnswerCache
let loads: [queries: readonly string[], purpose: LoadPurpose][]

beforeEach(() => {
  clock = manualClock(1000)
  stored = new Map()
  loads = []
  shared = mapStore(stored)
  flight = { run: loadAlone }
  memory = new LruStore({ maxEntries: 100, recheckAfterMs })
  cache = new AnswerCache({
    memory,
    shared: resilientStore({
      getMany: (queries) => shared.getMany(queries),
      setMany: (entries) => shared.setMany(entries),
    }),
    flight: { run: (...call) => flight.run(...call) },
    staleForMs,
    revalidateForMs,
    clock,
    random: () => 1,
  })
})

const landing =
  (result: FlightResult<SharedOutcome>): Flight['run'] =>
  (queries, callbacks) =>
    callbacks.landed(new Map(queries.map((query) => [query, result])))

/** Loads that answer each query with its own name. */
function loading(outcome: (query: string) => Outcome = outcomeOf): LoadMany {
  return async (queries, settle, purpose) => {
    loads.push([queries, purpose])
    await settle(new Map(queries.map((query) => [query, outcome(query)])))
  }
}
const find = (queries: readonly string[], load = loading()): ReturnType<AnswerCache['findMany']> =>
  cache.findMany(queries, load, 60_000)
const broken: LoadMany = async () => Promise.reject(new Error('broken'))
const sourcesOf = (findings: ReadonlyMap<string, Finding>): Record<string, string> =>
  Object.fromEntries([...findings].map(([query, { source }]) => [query, source]))
const store = (query: string, ageMs: number): unknown =>
  stored.set(query, new Entry(answerOf(query), clock.nowMs() - ageMs, freshForMs))

describe('many queries', () => {
  test('are answered from memory, then from the shared tier, then by one load, each once', async () => {
    await find(['memory'])
    store('shared', 0)
    loads = []
    const found = await find(['memory', 'shared', 'new', 'newer', 'new'])
    expect(sourcesOf(found)).toEqual({ memory: 'l1', shared: 'l2', new: 'upstream', newer: 'upstream' })
    expect(loads).toEqual([[['new', 'newer'], 'answer']])
  })

  test('that were found are in memory and in the shared tier then', async () => {
    await find(['a', 'b'])
    expect([...stored.keys()]).toEqual(['a', 'b'])
    store('c', 0)
    await find(['c'])
    loads = []
    expect(sourcesOf(await find(['a', 'b', 'c']))).toEqual({ a: 'l1', b: 'l1', c: 'l1' })
    expect(loads).toEqual([])
  })

  test('are found in the shared tier by one look', async () => {
    const looks: (readonly string[])[] = []
    const { ...tier } = shared
    shared = { ...tier, getMany: (queries) => (looks.push(queries), tier.getMany(queries)) }
    await find(['a', 'b', 'c'])
    await find(['a', 'b', 'c'])
    expect(looks).toEqual([['a', 'b', 'c']])
  })

  test('whose answers must not be cached are passed on, and kept nowhere', async () => {
    await find(
      ['a'],
      loading((text) => outcomeOf(text, 0)),
    )
    expect([stored.size, memory.size]).toEqual([0, 0])
  })

  test('that another replica answered are kept in memory; the shared tier has them already', async () => {
    flight = { run: landing({ outcome: outcomeOf('a'), led: false }) }
    expect(sourcesOf(await find(['a']))).toEqual({ a: 'collapsed' })
    expect([stored.size, memory.size]).toEqual([0, 1])
  })

  test('whose answer another replica could not share are loaded here', async () => {
    flight = { run: landing({ outcome: { kind: 'unshared' }, led: false }) }
    expect(sourcesOf(await find(['a']))).toEqual({ a: 'upstream' })
  })
})

test('what was loaded under a lease that was lost is answered with, but kept nowhere', async () => {
  const lost = { led: true, superseded: true }
  flight = { run: landing({ outcome: outcomeOf('late'), ...lost }) }
  expect(sourcesOf(await find(['a', 'b']))).toEqual({ a: 'upstream', b: 'upstream' })
  expect([stored.size, memory.size]).toEqual([0, 0])
})

describe('in one process', () => {
  test('a single query waits for the batch that has it, and a batch for the single query', async () => {
    const gate = Promise.withResolvers<void>()
    const held: LoadMany = async (queries, settle, purpose) => {
      await gate.promise
      await loading()(queries, settle, purpose)
    }
    const batch = find(['a', 'b'], held)
    const single = cache.find(
      'a',
      loadingEach(async () => outcomeOf('loaded alone')),
      60_000,
    )
    const other = cache.find(
      'c',
      loadingEach(async () => gate.promise.then(() => outcomeOf('c alone'))),
      60_000,
    )
    const second = find(['b', 'c'])
    gate.resolve()
    expect(await single).toMatchObject({ source: 'collapsed', entry: { answer: answerOf('a') } })
    expect(sourcesOf(await second)).toEqual({ b: 'collapsed', c: 'collapsed' })
    await Promise.all([batch, other])
    expect(loads).toEqual([[['a', 'b'], 'answer']])
  })

  test('who waited for a load that left the keys a reserve asks for itself', async () => {
    const spared: Outcome = { kind: 'failure', code: 'keys_exhausted', sparesReserve: true }
    const gate = Promise.withResolvers<void>()
    const sparing: LoadMany = async (queries, settle, purpose) => {
      await gate.promise
      await loading(() => spared)(queries, settle, purpose)
    }
    const first = find(['a', 'b'], sparing)
    const single = cache.find(
      'a',
      loadingEach(async () => outcomeOf('a')),
      60_000,
    )
    const second = find(['b', 'c'])
    gate.resolve()
    expect(await single).toMatchObject({ kind: 'found', source: 'upstream' })
    expect(sourcesOf(await second)).toEqual({ b: 'upstream', c: 'upstream' })
    expect([...(await first).values()]).toMatchObject([{ failure: spared }, { failure: spared }])
  })

  test('what was asked for before a purge is not remembered after it', async () => {
    const gate = Promise.withResolvers<void>()
    const finding = find(['a'], async (queries, settle, purpose) => {
      await gate.promise
      await loading()(queries, settle, purpose)
    })
    cache.forget()
    gate.resolve()
    expect((await finding).get('a')?.kind).toBe('found')
    expect([stored.size, memory.size]).toEqual([0, 0])
  })

  test('a load that throws fails its queries, and leaves nothing behind', async () => {
    await expect(find(['a', 'b'], broken)).rejects.toThrow('broken')
    expect(sourcesOf(await find(['a', 'b']))).toEqual({ a: 'upstream', b: 'upstream' })
  })
})

describe('past their freshness', () => {
  test('queries are answered at once, and refreshed together in the background', async () => {
    store('a', freshForMs + 1)
    store('b', freshForMs + 1)
    store('fresh', 0)
    expect(sourcesOf(await find(['a', 'b', 'fresh', 'new']))).toEqual({
      a: 'stale',
      b: 'stale',
      fresh: 'l2',
      new: 'upstream',
    })
    expect(loads).toEqual([
      [['a', 'b'], 'refresh'],
      [['new'], 'answer'],
    ])
    expect(sourcesOf(await find(['a', 'b']))).toEqual({ a: 'l1', b: 'l1' })
  })

  test('and past that, they are loaded; when nothing comes, the old answer is better than none', async () => {
    store('a', freshForMs + revalidateForMs)
    const [finding] = [
      ...(
        await find(
          ['a', 'b'],
          loading(() => failure),
        )
      ).values(),
    ]
    expect(finding).toMatchObject({ kind: 'failed', failure, stale: { answer: answerOf('a') } })
    expect(loads).toEqual([[['a', 'b'], 'answer']])
    store('dead', freshForMs + staleForMs)
    expect(
      (
        await find(
          ['dead'],
          loading(() => failure),
        )
      ).get('dead'),
    ).toMatchObject({ stale: undefined })
  })
})

describe('when Redis is away', () => {
  beforeEach(() => {
    shared = awayStore
    flight = awayFlight
  })

  test('this process loads for itself, once, and remembers', async () => {
    expect(sourcesOf(await find(['a', 'b']))).toEqual({ a: 'upstream', b: 'upstream' })
    expect(sourcesOf(await find(['a', 'b']))).toEqual({ a: 'l1', b: 'l1' })
    expect(loads).toHaveLength(1)
  })

  test('memory is served past its recheck, for as long as it is fresh', async () => {
    await find(['a'])
    clock.advance(recheckAfterMs * 2)
    expect(sourcesOf(await find(['a']))).toEqual({ a: 'l1' })
  })

  test('what was being waited for is loaded here; what is being loaded here already is not loaded again', async () => {
    const lease = {
      guards: () => true,
      isSure: () => true,
      extend: away,
      release: async () => {},
      publish: async () => new Set(['a']),
    }
    const claims = [{ kind: 'leased' }, { kind: 'held' }] as const
    let asked = 0
    flight = flightOver(async () => (asked++ === 0 ? { claims, lease } : away()))
    expect(sourcesOf(await find(['a', 'b']))).toEqual({ a: 'upstream', b: 'upstream' })
    expect(loads.map(([queries]) => queries)).toEqual([['a'], ['b']])
  })
})

test('queries that others load and do not finish in time fail with upstream_timeout, and are not loaded', async () => {
  flight = { run: async () => Promise.reject(new ProxyError('upstream_timeout')) }
  expect((await find(['a'])).get('a')).toMatchObject({ kind: 'failed', failure: { code: 'upstream_timeout' } })
  expect(loads).toEqual([])
})
