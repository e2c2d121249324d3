import { loadAlone } from './flight/load.ts'
import { type ManualClock, manualClock } from '@ipfleet/testing/manual-clock.ts'
import { beforeEach, describe, expect, test } from '@jest/globals'
import { AnswerCache } from './answer-cache.ts'
import { Entry } from './entry.ts'
import { LruStore } from './lru-store.ts'
import { type AnswerOutcome, type Outcome, shareable } from './outcome.ts'
import type { Finding } from './finding.ts'
import { loadingEach, mapStore } from '../test/fakes.ts'

/** That there is nothing lives for a short while, and displaces nothing that was there before. */
const freshForMs = 10_000
const negativeForMs = 1000
const staleForMs = 50_000

let clock: ManualClock
let stored: Map<string, Entry>
let cache: AnswerCache
let loads: number

beforeEach(() => {
  clock = manualClock(1000)
  stored = new Map()
  loads = 0
  const memory = new LruStore({ maxEntries: 10, recheckAfterMs: 1_000_000 })
  const rules = { memory, staleForMs, revalidateForMs: 0, clock, random: () => 1 }
  cache = new AnswerCache({ ...rules, shared: mapStore(stored), flight: { run: loadAlone } })
})

function answerOf(status: number, forMs = status === 200 ? freshForMs : negativeForMs): AnswerOutcome {
  return { kind: 'answer', answer: { status, contentType: 'text/plain', body: Buffer.from('') }, freshForMs: forMs }
}

const single = async (outcome: Outcome): Promise<Finding> =>
  cache.find(
    'q',
    loadingEach(async () => {
      loads += 1
      return outcome
    }),
    Number.POSITIVE_INFINITY,
  )

async function inBatch(outcome: Outcome): Promise<Finding> {
  const found = await cache.findMany(
    ['q'],
    async (_queries, settle) => {
      loads += 1
      await settle(new Map([['q', outcome]]))
    },
    Number.POSITIVE_INFINITY,
  )
  return found.get('q') as Finding
}

/** Status, source and how many loads there have been. */
const seen = (finding: Finding): unknown[] =>
  finding.kind === 'found' ? [finding.entry.answer.status, finding.source, loads] : [finding.failure.code]

describe.each([
  ['alone', single],
  ['in a batch', inBatch],
])('%s', (_way, find) => {
  test.each([404, 400])(
    'a good record outlives a %i, is marked stale, and is asked for again after a while',
    async (status) => {
      await find(answerOf(200))
      clock.advance(freshForMs + 1)
      expect(seen(await find(answerOf(status)))).toEqual([200, 'stale', 2])
      expect(seen(await find(answerOf(status)))).toEqual([200, 'stale', 2])
      clock.advance(negativeForMs + 1)
      expect(seen(await find(answerOf(status)))).toEqual([200, 'stale', 3])
      clock.advance(negativeForMs + 1)
      expect(seen(await find(answerOf(200)))).toEqual([200, 'upstream', 4])
      expect(seen(await find(answerOf(status)))).toEqual([200, 'l1', 4])
    },
  )

  test('also where it is in the shared tier only, and others are told', async () => {
    stored.set('q', new Entry(answerOf(200).answer, clock.nowMs() - freshForMs - 1, freshForMs))
    expect(seen(await find(answerOf(404)))).toEqual([200, 'stale', 1])
    expect(stored.get('q')?.heldUntilMs).toBe(clock.nowMs() + negativeForMs)
  })

  test('it is given up when it is too old to be of use', async () => {
    await find(answerOf(200))
    clock.advance(freshForMs + staleForMs + 1)
    expect(seen(await find(answerOf(404)))).toEqual([404, 'upstream', 2])
  })

  test('a refusal that is not kept leaves it, too, and is not waited out', async () => {
    await find(answerOf(200))
    clock.advance(freshForMs + 1)
    expect(seen(await find(answerOf(403, 0)))).toEqual([200, 'stale', 2])
    expect(seen(await find(answerOf(403, 0)))).toEqual([200, 'stale', 3])
  })

  test('where there was nothing, that lives its own short life, and is no stale answer after it', async () => {
    expect(seen(await find(answerOf(404)))).toEqual([404, 'upstream', 1])
    expect(seen(await find(answerOf(404)))).toEqual([404, 'l1', 1])
    clock.advance(negativeForMs + 1)
    expect(seen(await find({ kind: 'failure', code: 'upstream_failed' }))).toEqual(['upstream_failed'])
    expect(seen(await find(answerOf(200)))).toEqual([200, 'upstream', 3])
  })
})

test('what is for one client is loaded by each, also of those who come while it is loaded', async () => {
  const outcome = shareable(answerOf(200), true)
  const gate = Promise.withResolvers<void>()
  const waiting = Array.from({ length: 3 }, () =>
    cache.find(
      'q',
      loadingEach(async () => {
        loads += 1
        await gate.promise
        return outcome
      }),
      Number.POSITIVE_INFINITY,
    ),
  )
  gate.resolve()
  const findings = await Promise.all(waiting)
  expect(findings.map(({ source }) => source)).toEqual(['upstream', 'upstream', 'upstream'])
  expect([loads, stored.size]).toEqual([3, 0])
})

const heldOf = async (query: string): Promise<Finding | undefined> => (await cache.findHeld([query])).get(query)

test('what is held is read without a load, and nothing else', async () => {
  expect(await heldOf('q')).toBeUndefined()
  await single(answerOf(200))
  expect(await heldOf('q')).toMatchObject({ source: 'l1' })
  clock.advance(freshForMs + 1)
  expect(await heldOf('q')).toMatchObject({ source: 'stale' })
  clock.advance(staleForMs)
  expect(await heldOf('q')).toBeUndefined()
})
