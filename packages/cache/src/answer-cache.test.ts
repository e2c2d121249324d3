import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { type ManualClock, manualClock } from '@ipfleet/testing/manual-clock.ts'
import { beforeEach, describe, expect, test } from '@jest/globals'
import { AnswerCache } from './answer-cache.ts'
import { type AnswerStore, resilientStore } from './answer-store.ts'
import { Entry } from './entry.ts'
import { loadAlone } from './flight/load.ts'
import { LruStore } from './lru-store.ts'
import type { Outcome } from './outcome.ts'
import { away, awayFlight, awayStore, type Flight, flightOf, type Load, loadingEach, mapStore } from '../test/fakes.ts'

const freshForMs = 10_000
const staleForMs = 50_000
const recheckAfterMs = 1000

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
const loading =
  (outcome: Outcome): Load =>
  async () =>
    outcome
const neverLoad: Load = async () => {
  throw new Error('nothing must be loaded')
}
const textOf = (finding: Awaited<ReturnType<AnswerCache['find']>>): string =>
  finding.kind === 'found' ? finding.entry.answer.body.toString() : finding.failure.code

let clock: ManualClock
let stored: Map<string, Entry>
let shared: AnswerStore
let flight: Flight
let cache: AnswerCache

const find = (load: Load, query = 'q'): ReturnType<AnswerCache['find']> => cache.find(query, loadingEach(load), 60_000)

beforeEach(() => {
  clock = manualClock(1000)
  stored = new Map()
  shared = mapStore(stored)
  flight = { run: loadAlone }
  cache = new AnswerCache({
    memory: new LruStore({ maxEntries: 10, recheckAfterMs }),
    shared: resilientStore({
      getMany: (queries) => shared.getMany(queries),
      setMany: (entries) => shared.setMany(entries),
    }),
    flight: { run: (...call) => flight.run(...call) },
    staleForMs,
    revalidateForMs: 0,
    clock,
  })
})

function takeAway(): void {
  shared = awayStore
  flight = awayFlight
}

test('what was loaded under a lease that was lost is answered with, but kept nowhere', async () => {
  flight = flightOf(async (load) => ({ outcome: await load(), led: true, superseded: true }))
  expect(textOf(await find(loading(outcomeOf('late'))))).toBe('late')
  stored.set('q', new Entry(answerOf('newer'), clock.nowMs(), freshForMs))
  expect(textOf(await find(neverLoad))).toBe('newer')
})

test('a part of an entry is kept beside it, unless that was purged meanwhile', async () => {
  const whole = await find(loading(outcomeOf('whole')))
  if (whole.kind !== 'found') throw new Error('nothing was found')
  const part = new Entry(answerOf('part'), clock.nowMs(), freshForMs)
  cache.rememberPart('q/part', part, { query: 'q', entry: whole.entry })
  expect(textOf(await find(neverLoad, 'q/part'))).toBe('part')
  cache.forget()
  cache.rememberPart('q/part', part, { query: 'q', entry: whole.entry })
  expect(textOf(await find(loading(outcomeOf('loaded')), 'q/part'))).toBe('loaded')
})

describe('the order of the tiers', () => {
  test('what memory may serve is not asked for', async () => {
    await find(loading(outcomeOf('a')))
    takeAway()
    expect(await find(neverLoad)).toMatchObject({ kind: 'found', source: 'l1' })
  })

  test('what is not in memory comes from the shared tier, and is in memory then', async () => {
    stored.set('q', new Entry(answerOf('shared'), 1000, freshForMs))
    expect(await find(neverLoad)).toMatchObject({ source: 'l2' })
    expect(await find(neverLoad)).toMatchObject({ source: 'l1' })
  })

  test('after a while memory asks the shared tier again, and follows it', async () => {
    await find(loading(outcomeOf('old')))
    clock.advance(recheckAfterMs)
    stored.set('q', new Entry(answerOf('new'), clock.nowMs(), freshForMs))
    const finding = await find(neverLoad)
    expect(finding).toMatchObject({ source: 'l2' })
    expect(textOf(finding)).toBe('new')
  })

  test('what neither has is loaded, and both have it then', async () => {
    expect(await find(loading(outcomeOf('loaded')))).toMatchObject({ kind: 'found', source: 'upstream' })
    expect(stored.get('q')?.answer).toEqual(answerOf('loaded'))
    expect(await find(neverLoad)).toMatchObject({ source: 'l1' })
  })

  test('what is past its freshness is loaded again', async () => {
    await find(loading(outcomeOf('old')))
    clock.advance(freshForMs)
    expect(textOf(await find(loading(outcomeOf('new'))))).toBe('new')
  })

  test('what must not be kept is passed on and kept nowhere', async () => {
    expect(textOf(await find(loading(outcomeOf('once', 0))))).toBe('once')
    expect(stored.size).toBe(0)
    expect(textOf(await find(loading(outcomeOf('twice', 0))))).toBe('twice')
  })

  test('a load’s origin is told to its leader alone', async () => {
    const origin = { keyId: 'k', upstreamStatus: 200 }
    expect(await find(loading({ ...outcomeOf('a'), origin }))).toMatchObject({ origin })
    flight = flightOf(async () => ({ outcome: { ...outcomeOf('a'), origin }, led: false }))
    expect(await find(neverLoad, 'other')).not.toHaveProperty('origin')
  })
})

describe('one load for many', () => {
  test('those who ask while it runs share it, and the answer says so', async () => {
    const held = Promise.withResolvers<Outcome>()
    let loads = 0
    const load: Load = () => {
      loads += 1
      return held.promise
    }
    const all = Promise.all([find(load), find(load), find(load)])
    held.resolve(outcomeOf('a'))
    expect((await all).map(({ source }) => source)).toEqual(['upstream', 'collapsed', 'collapsed'])
    expect(loads).toBe(1)
  })

  test('failures are shared alike', async () => {
    const held = Promise.withResolvers<Outcome>()
    const all = Promise.all([find(() => held.promise), find(neverLoad)])
    held.resolve(failure)
    expect((await all).map(textOf)).toEqual(['upstream_failed', 'upstream_failed'])
  })

  test('another replica’s answer is kept in memory, and left to that replica to store', async () => {
    flight = flightOf(async () => ({ outcome: outcomeOf('theirs'), led: false }))
    expect(await find(neverLoad)).toMatchObject({ kind: 'found', source: 'collapsed' })
    expect(stored.size).toBe(0)
    expect(await find(neverLoad)).toMatchObject({ source: 'l1' })
  })

  test('what another replica could not share is loaded here', async () => {
    flight = flightOf(async () => ({ outcome: { kind: 'unshared' }, led: false }))
    expect(await find(loading(outcomeOf('large')))).toMatchObject({ kind: 'found', source: 'upstream' })
  })

  test('a waiter whose deadline passed has failed, with all that is known, and loads nothing', async () => {
    const timeout = new ProxyError('upstream_timeout', { detail: 'd', retryAfterSeconds: 7 })
    flight = { run: async () => Promise.reject(timeout) }
    expect(await find(neverLoad)).toEqual({
      kind: 'failed',
      source: 'collapsed',
      failure: { kind: 'failure', code: 'upstream_timeout', detail: 'd', retryAfterSeconds: 7 },
      stale: undefined,
    })
  })

  test('a fault of ours is thrown, not hidden', async () => {
    await expect(find(neverLoad)).rejects.toThrow('nothing must be loaded')
    shared = { ...shared, getMany: async () => Promise.reject(new TypeError('a bug')) }
    await expect(find(neverLoad, 'other')).rejects.toThrow('a bug')
  })
})

describe('when a load fails', () => {
  test('the failure comes with the last good answer', async () => {
    await find(loading(outcomeOf('old')))
    clock.advance(freshForMs + staleForMs - 1)
    expect(await find(loading(failure))).toMatchObject({ kind: 'failed', failure, stale: { answer: answerOf('old') } })
  })

  test('unless that is too old', async () => {
    await find(loading(outcomeOf('old')))
    clock.advance(freshForMs + staleForMs)
    expect(await find(loading(failure))).toMatchObject({ kind: 'failed', stale: undefined })
  })

  test.each([
    ['shared', 1000, 2000],
    ['held', 2000, 1000],
  ])('of two old answers the younger is given: %s', async (younger, heldAtMs, sharedAtMs) => {
    clock.set(heldAtMs)
    await find(loading(outcomeOf('held')))
    stored.set('q', new Entry(answerOf('shared'), sharedAtMs, freshForMs))
    clock.set(3000 + freshForMs)
    expect(await find(loading(failure))).toMatchObject({ stale: { answer: answerOf(younger) } })
  })

  test('a failure is not kept: the next one asks again', async () => {
    await find(loading(failure))
    expect(textOf(await find(loading(outcomeOf('a'))))).toBe('a')
  })
})

describe('without the shared tier', () => {
  test('a query is loaded by this process for itself, once for all who ask, and kept in memory', async () => {
    takeAway()
    const held = Promise.withResolvers<Outcome>()
    const all = Promise.all([find(() => held.promise), find(neverLoad)])
    held.resolve(outcomeOf('own'))
    expect((await all).map(textOf)).toEqual(['own', 'own'])
    expect(await find(neverLoad)).toMatchObject({ source: 'l1' })
  })

  test('memory answers for as long as an answer is fresh, though it would be time to recheck', async () => {
    await find(loading(outcomeOf('a')))
    takeAway()
    clock.advance(freshForMs - 1)
    expect(await find(neverLoad)).toMatchObject({ kind: 'found', source: 'l1' })
    clock.advance(1)
    expect(await find(loading(failure))).toMatchObject({ kind: 'failed', stale: { answer: answerOf('a') } })
  })

  test('an answer that only could not be stored is an answer', async () => {
    shared = { ...shared, setMany: away }
    expect(await find(loading(outcomeOf('a')))).toMatchObject({ kind: 'found', source: 'upstream' })
    expect(await find(neverLoad)).toMatchObject({ source: 'l1' })
  })
})

describe('a purge', () => {
  test('empties memory', async () => {
    await find(loading(outcomeOf('old')))
    stored.clear()
    cache.forget()
    expect(textOf(await find(loading(outcomeOf('new'))))).toBe('new')
  })

  test('during a load keeps its answer out of both tiers', async () => {
    const held = Promise.withResolvers<Outcome>()
    const before = find(() => held.promise)
    cache.forget()
    held.resolve(outcomeOf('old'))
    expect(textOf(await before)).toBe('old')
    expect(stored.size).toBe(0)
    expect(textOf(await find(loading(outcomeOf('new'))))).toBe('new')
  })

  test('during a look into the shared tier keeps its answer out of memory', async () => {
    const held = Promise.withResolvers<Entry>()
    shared = { ...shared, getMany: async () => new Map([['q', await held.promise]]) }
    const before = find(neverLoad)
    cache.forget()
    held.resolve(new Entry(answerOf('old'), 1000, freshForMs))
    await before
    shared = mapStore(stored)
    expect(textOf(await find(loading(outcomeOf('new'))))).toBe('new')
  })

  test('who asks after it does not join a load from before it', async () => {
    const held = Promise.withResolvers<Outcome>()
    const before = find(() => held.promise)
    cache.forget()
    expect(textOf(await find(loading(outcomeOf('new'))))).toBe('new')
    held.resolve(outcomeOf('old'))
    expect(textOf(await before)).toBe('old')
    expect(textOf(await find(neverLoad))).toBe('new')
  })
})
