import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { type ManualClock, manualClock } from '@ipfleet/testing/manual-clock.ts'
import { eventually } from '../test/eventually.ts'
import { apiKey } from './api-key.ts'
import { KeyPool } from './key-pool.ts'
import { LocalKeyStore } from './local-key-store.ts'
import type { Exhausted, Limit, Ticket } from './ticket.ts'

const [a, b, c] = [apiKey('secret-a'), apiKey('secret-b'), apiKey('secret-c')]
const times = { cooldownMs: 10_000, quarantineMs: 100_000 }
const none: ReadonlySet<string> = new Set()
const farMs = 1_000_000_000
const limit: Limit = { scope: 'key', reason: 'limited', retryAfterSeconds: undefined }

let clock: ManualClock
let store: LocalKeyStore

beforeEach(() => {
  clock = manualClock(5000)
  store = new LocalKeyStore(clock, { trialMs: 60_000 })
})

afterEach(() => {
  jest.restoreAllMocks()
})

function poolOf(...keys: (typeof a)[]): KeyPool {
  return new KeyPool(keys, store, times, clock)
}

async function ticketFrom(pool: KeyPool, tried = none): Promise<Ticket> {
  const taken = await pool.take(tried, farMs)
  if (taken.kind !== 'ticket') throw new Error(`no ticket: ${JSON.stringify(taken)}`)
  return taken
}

/** A pool whose only key is on trial with the ticket's holder. */
async function poolOnTrial(): Promise<{ pool: KeyPool; trial: Ticket }> {
  const pool = poolOf(a)
  await pool.limited(await ticketFrom(pool), limit)
  clock.advance(times.cooldownMs)
  const trial = await ticketFrom(pool)
  expect(trial.trial).toBe(true)
  return { pool, trial }
}

describe('tickets', () => {
  test('carry the key whose turn it is, secret and all', async () => {
    const pool = poolOf(a, b, c)
    const tickets = [await ticketFrom(pool), await ticketFrom(pool), await ticketFrom(pool)]
    expect(new Set(tickets.map(({ key }) => key))).toEqual(new Set([a, b, c]))
    expect(tickets.map(({ trial }) => trial)).toEqual([false, false, false])
  })

  test('a key that was tried for this request is not given again', async () => {
    const pool = poolOf(a, b, c)
    const tried = new Set<string>()
    for (let turn = 0; turn < 3; turn += 1) tried.add((await ticketFrom(pool, tried)).key.id)
    expect(tried).toEqual(new Set([a.id, b.id, c.id]))
    expect(await pool.take(tried, farMs)).toEqual({ kind: 'exhausted', retryAfterMs: 0 })
  })

  test('the same secret twice is one key', () => {
    expect(poolOf(a, apiKey('secret-a'), b).size).toBe(2)
  })
})

describe('benches', () => {
  test('a 429 without Retry-After rests the key for the cooldown', async () => {
    const pool = poolOf(a)
    await pool.limited(await ticketFrom(pool), limit)
    expect(await pool.read()).toEqual([{ id: a.id, state: 'cooling', reason: 'limited', remainingMs: 10_000 }])
  })

  test('a 429 with Retry-After rests it for that', async () => {
    const pool = poolOf(a)
    await pool.limited(await ticketFrom(pool), { ...limit, retryAfterSeconds: 42 })
    expect(await pool.read()).toEqual([{ id: a.id, state: 'cooling', reason: 'limited', remainingMs: 42_000 }])
  })

  test('a key that upstream does not accept is quarantined', async () => {
    const pool = poolOf(a)
    await pool.denied(await ticketFrom(pool), 'key', 403)
    expect(await pool.read()).toEqual([{ id: a.id, state: 'cooling', reason: 'denied', remainingMs: 100_000 }])
  })

  test('a failure that teaches nothing benches no key', async () => {
    const pool = poolOf(a)
    await pool.unsettled(await ticketFrom(pool))
    expect(await pool.read()).toEqual([{ id: a.id, state: 'active' }])
  })

  test('an ordinary answer costs the store nothing', async () => {
    const ended = jest.spyOn(store, 'endTrial')
    const pool = poolOf(a)
    await pool.answered(await ticketFrom(pool))
    await pool.unsettled(await ticketFrom(pool))
    expect(ended).not.toHaveBeenCalled()
  })

  test('all benched: the earliest return over all keys, tried ones included', async () => {
    const pool = poolOf(a, b, c)
    await pool.limited(await ticketOf(pool, a.id), { ...limit, retryAfterSeconds: 30 })
    await pool.limited(await ticketOf(pool, b.id), { ...limit, retryAfterSeconds: 5 })
    await pool.denied(await ticketOf(pool, c.id), 'key', 403)
    clock.advance(1000)
    expect(await pool.take(none, farMs)).toEqual({ kind: 'exhausted', retryAfterMs: 4000 })
    expect(await pool.take(new Set([b.id]), farMs)).toEqual({ kind: 'exhausted', retryAfterMs: 4000 })
  })

  test('each bench and each recovery is told, by id', async () => {
    const pool = poolOf(a)
    const events: unknown[] = []
    pool.on('benched', (...details) => events.push(['benched', ...details]))
    pool.on('recovered', (...details) => events.push(['recovered', ...details]))
    await pool.limited(await ticketFrom(pool), { ...limit, retryAfterSeconds: 7 })
    clock.advance(7000)
    await pool.denied(await ticketFrom(pool), 'key', 403)
    clock.advance(200_000)
    await pool.answered(await ticketFrom(pool))
    await pool.answered(await ticketFrom(pool))
    expect(events).toEqual([
      ['benched', a.id, 'limited', 7000],
      // The second strike in a row: twice the quarantine.
      ['benched', a.id, 'denied', 200_000],
      ['recovered', a.id],
    ])
  })
})

describe('trials', () => {
  test('a trial that is answered gives the key back', async () => {
    const { pool, trial } = await poolOnTrial()
    await pool.answered(trial)
    expect((await ticketFrom(pool)).trial).toBe(false)
  })

  test('a trial that taught nothing passes to the next request', async () => {
    const { pool, trial } = await poolOnTrial()
    await pool.unsettled(trial)
    expect((await ticketFrom(pool)).trial).toBe(true)
  })

  test('a request waits for the trial of the only key, and uses it when it succeeds', async () => {
    const { pool, trial } = await poolOnTrial()
    const looks = jest.spyOn(store, 'take')
    const waiting = pool.take(none, farMs)
    await eventually('a second look', () => looks.mock.calls.length > 1)
    await pool.answered(trial)
    expect(await waiting).toMatchObject({ kind: 'ticket', key: a, trial: false })
  })

  test('of many requests that wait for a trial one looks, and all go on when it ends', async () => {
    const { pool, trial } = await poolOnTrial()
    const { calls } = jest.spyOn(store, 'take').mock
    const another = poolOf(a).take(none, farMs, { units: 2 })
    const waiting = Array.from({ length: 500 }, () => pool.take(none, farMs))
    await eventually('six looks of another replica', () => calls.filter(([, of]) => of?.units === 2).length >= 6)
    // Each once, and once more where the machine stands still for as long as they wait; not six times.
    expect(calls.length).toBeLessThan(1500)
    await pool.answered(trial)
    await another
    for (const taken of await Promise.all(waiting)) expect(taken).toMatchObject({ kind: 'ticket', trial: false })
  })

  test('a request that waits learns at once that the trial failed', async () => {
    const { pool, trial } = await poolOnTrial()
    const looks = jest.spyOn(store, 'take')
    const waiting = pool.take(none, farMs)
    await eventually('a second look', () => looks.mock.calls.length > 1)
    await pool.limited(trial, { ...limit, retryAfterSeconds: 33 })
    expect(await waiting).toEqual({ kind: 'exhausted', retryAfterMs: 33_000 })
  })

  test.each([
    ['its own deadline', 100],
    ['two seconds', 2000],
  ])('no request waits for a trial beyond %s', async (_, patienceMs) => {
    const { pool } = await poolOnTrial()
    const looks = jest.spyOn(store, 'take')
    const deadlineMs = patienceMs === 2000 ? farMs : clock.nowMs() + patienceMs
    let ended: Ticket | Exhausted | undefined
    const waiting = pool.take(none, deadlineMs).then((taken) => (ended = taken))
    clock.advance(patienceMs - 1)
    const before = looks.mock.calls.length
    await eventually('two more looks', () => looks.mock.calls.length >= before + 2)
    expect(ended).toBeUndefined()
    clock.advance(1)
    expect((await waiting).kind).toBe('exhausted')
  })

  test('a key is free for all others while one is on trial', async () => {
    const pool = poolOf(a, b)
    await pool.limited(await ticketOf(pool, a.id), { ...limit, retryAfterSeconds: 1 })
    clock.advance(1000)
    expect((await ticketOf(pool, a.id)).trial).toBe(true)
    const others = [await ticketFrom(pool), await ticketFrom(pool), await ticketFrom(pool)]
    expect(others.map(({ key }) => key.id)).toEqual([b.id, b.id, b.id])
  })
})

describe('quotas', () => {
  const month = { limit: 100, resetMs: 500_000 }

  test('a request that no key has enough left for waits for the reset that is nearest', async () => {
    const pool = poolOf(a, b)
    await pool.noteAccount(a.id, { ...month, remaining: 5 }, 0)
    await pool.noteAccount(b.id, { remaining: 5, resetMs: 90_000 }, 0)
    expect(await pool.take(none, farMs, { units: 6 })).toEqual({ kind: 'exhausted', retryAfterMs: 90_000 })
    expect((await pool.take(none, farMs, { units: 5 })).kind).toBe('ticket')
  })

  test.each([
    ['nothing left', 0],
    ['nearly nothing left', 1],
  ])('a 429 of a key that has %s rests it until its quota is full again', async (_, remaining) => {
    const pool = poolOf(a)
    const ticket = await ticketFrom(pool)
    await pool.noteAccount(a.id, { ...month, remaining }, 1)
    await pool.limited(ticket, limit)
    expect(await pool.read()).toEqual([{ id: a.id, state: 'cooling', reason: 'exhausted', remainingMs: 500_000 }])
  })

  test.each([
    ['in the middle of a month until it turns', Date.UTC(2026, 10, 30), 86_400_000],
    ['as the month turns, which upstream may do later, for five minutes', Date.UTC(2026, 11, 1), 300_000],
  ])('a key that is used up rests %s', async (_, epochMs, remainingMs) => {
    const pool = new KeyPool([a], store, times, clock, () => epochMs)
    await pool.limited(await ticketFrom(pool), { ...limit, reason: 'exhausted' })
    expect(await pool.read()).toEqual([{ id: a.id, state: 'cooling', reason: 'exhausted', remainingMs }])
  })

  test('a 429 of a key that has enough left rests it for the cooldown', async () => {
    const pool = poolOf(a)
    await pool.noteAccount(a.id, { ...month, remaining: 50 }, 0)
    await pool.limited(await ticketFrom(pool), limit)
    expect(await pool.read()).toMatchObject([{ state: 'cooling', reason: 'limited', remainingMs: 10_000 }])
  })

  test('a key that goes on beyond its plan is active, and a 429 that does not say for how long rests it for the cooldown', async () => {
    const pool = new KeyPool([{ ...a, overage: 'pay' }], store, times, clock)
    await pool.noteAccount(a.id, { remaining: 0, limit: 100, resetMs: 500_000 }, 0)
    expect(await pool.read()).toEqual([{ id: a.id, state: 'active' }])
    await pool.limited(await ticketFrom(pool), limit)
    expect(await pool.read()).toEqual([{ id: a.id, state: 'cooling', reason: 'limited', remainingMs: 10_000 }])
  })

  test('a key that has had its units of the day is exhausted until midnight, whatever its account has left', async () => {
    jest.spyOn(Date, 'now').mockReturnValue(Date.UTC(2026, 10, 30, 18))
    store = new LocalKeyStore(clock, { trialMs: 60_000 })
    const pool = new KeyPool([{ ...a, maxPerDay: 2 }, b], store, times, clock)
    for (let turn = 0; turn < 2; turn += 1) await ticketOf(pool, a.id)
    const atMaximum = { id: a.id, state: 'cooling', reason: 'exhausted', remainingMs: 6 * 3_600_000 }
    expect(await pool.read()).toEqual([atMaximum, { id: b.id, state: 'active' }])
    await pool.refilled(a.id)
    expect(await pool.read()).toMatchObject([atMaximum, { state: 'active' }])
  })

  test('a 429 whose fields say when the window ends rests the key until then', async () => {
    const pool = poolOf(a)
    await pool.limited(await ticketFrom(pool), { ...limit, seen: { remaining: 0, resetSeconds: 42 } })
    expect(await pool.read()).toMatchObject([{ reason: 'limited', remainingMs: 42_000 }])
  })

  test('a 429 that does not say for how long is told, one that does is not', async () => {
    const pool = poolOf(a, b)
    const wondered: string[] = []
    pool.on('unexplained', (id) => wondered.push(id))
    await pool.limited(await ticketOf(pool, a.id), { ...limit, retryAfterSeconds: 7 })
    await pool.limited(await ticketOf(pool, b.id), limit)
    expect(wondered).toEqual([b.id])
  })

  test('a reply’s fields count, for a minute at most unless nothing is left', async () => {
    const pool = poolOf(a)
    const ticket = await ticketFrom(pool)
    pool.noteQuota(ticket, { remaining: 9, limit: 10, resetSeconds: 3600 })
    expect((await pool.quotas())[0]?.reply).toMatchObject({ remaining: 9, resetMs: 60_000 })
    pool.noteQuota(ticket, { remaining: 0, limit: 10, resetSeconds: 3600 })
    expect(await pool.take(none, farMs)).toEqual({ kind: 'exhausted', retryAfterMs: 3_600_000 })
  })
})

describe('keys that are looked after', () => {
  const grouped = [{ ...a, group: 'acme' }, { ...b, group: 'acme' }, c]

  test('of one account are benched together, and each bench is told', async () => {
    const pool = new KeyPool(grouped, store, times, clock)
    const benched: string[] = []
    pool.on('benched', (id) => benched.push(id))
    await pool.limited(await ticketOf(pool, a.id), { ...limit, retryAfterSeconds: 30 })
    expect(benched).toEqual([a.id, b.id])
    expect((await pool.read()).map(({ state }) => state)).toEqual(['cooling', 'cooling', 'active'])
  })

  test('are given by their weights', async () => {
    const pool = new KeyPool([{ ...a, weight: 3 }, b], store, times, clock)
    const ids = await Promise.all(Array.from({ length: 40 }, async () => (await ticketFrom(pool)).key.id))
    expect(ids.filter((id) => id === a.id)).toHaveLength(30)
  })

  test.each([
    ['core', 'cooling'],
    ['max', 'active'],
    ['privacy', 'active'],
  ])('that rest for %s are %s', async (product, state) => {
    const pool = poolOf(a)
    await store.bench({ id: a.id, product, reason: 'limited', durationMs: 5000 })
    expect(await pool.read()).toEqual([
      expect.objectContaining({ state, products: [{ product, reason: 'limited', remainingMs: 5000 }] }),
    ])
  })

  test('may be rested and released by an operator, without their peers', async () => {
    const pool = new KeyPool(grouped, store, times, clock)
    expect(await pool.rest(a.id, 5000)).toBe(5000)
    expect(await pool.read()).toEqual([
      { id: a.id, state: 'cooling', reason: 'operator', remainingMs: 5000 },
      { id: b.id, state: 'active' },
      { id: c.id, state: 'active' },
    ])
    await pool.release(a.id)
    expect((await ticketOf(pool, a.id)).trial).toBe(false)
  })

  test('may be replaced: a removed key is given to no request, and finishes what it carries', async () => {
    const pool = poolOf(a, b)
    const changes: unknown[] = []
    pool.on('replaced', (...change) => changes.push(change))
    const carried = await ticketOf(pool, a.id)
    pool.replace([b, c])
    expect(changes).toEqual([[[c.id], [a.id]]])
    const ids = await Promise.all(Array.from({ length: 10 }, async () => (await ticketFrom(pool)).key.id))
    expect(new Set(ids)).toEqual(new Set([b.id, c.id]))
    await pool.answered(carried)
    await pool.limited(carried, { ...limit, retryAfterSeconds: 5 })
    expect(pool.size).toBe(2)
  })

  test('may be replaced while a request takes one, which it then carries', async () => {
    const pool = poolOf(a)
    const taking = pool.take(none, farMs)
    pool.replace([b])
    expect(await taking).toMatchObject({ kind: 'ticket', key: a })
  })
})

describe('proof', () => {
  test('a key that answered within the last minute is proven', async () => {
    const pool = poolOf(a, b)
    const ticket = await ticketOf(pool, a.id)
    expect(pool.isProven(ticket)).toBe(false)
    await pool.answered(ticket)
    clock.advance(59_999)
    expect(pool.isProven(ticket)).toBe(true)
    expect(pool.isProven(await ticketOf(pool, b.id))).toBe(false)
    clock.advance(1)
    expect(pool.isProven(ticket)).toBe(false)
  })

  test('a failure proves nothing', async () => {
    const pool = poolOf(a)
    const ticket = await ticketFrom(pool)
    await pool.unsettled(ticket)
    expect(pool.isProven(ticket)).toBe(false)
  })
})

/** The ticket of one key of the pool. */
function ticketOf(pool: KeyPool, id: string): Promise<Ticket> {
  const others = [a, b, c].map((key) => key.id).filter((other) => other !== id)
  return ticketFrom(pool, new Set(others))
}
