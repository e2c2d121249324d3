import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { KeyStore, TakeOptions } from '../src/key-store.ts'
import type { QuotaReport } from '../src/quota.ts'
import { eventually } from './eventually.ts'
import type { OpenStores, StoresUnderTest } from './key-store-contract.ts'

const longMs = 60_000

interface Fleet extends StoresUnderTest {
  readonly first: KeyStore
  readonly last: KeyStore
}

/** What every KeyStore promises about quotas, weights, groups and operators. */
export function keyQuotaContract(name: string, open: OpenStores): void {
  describe(`${name}, and what keys have left`, () => {
    let fleet: Fleet

    beforeEach(async () => {
      const opened = await open({ trialMs: longMs })
      fleet = { ...opened, first: opened.stores[0] as KeyStore, last: opened.stores.at(-1) as KeyStore }
    })
    afterEach(() => fleet.close())

    describeShares(() => fleet)
    describeLimits(() => fleet)
    describeReports(() => fleet)
    describeOperator(() => fleet)
  })
}

function describeShares(fleet: () => Fleet): void {
  test('keys are given in proportion to what they have left, spread out, and all are empty at the same time', async () => {
    const { first } = fleet()
    await left(first, { a: 100, b: 200, c: 300 })
    const early = await takeAll(fleet(), 60, ['a', 'b', 'c'])
    expect(counts(early)).toEqual({ a: 10, b: 20, c: 30 })
    expect(early.join('')).not.toMatch(/ccc|aa|bbb/)
    const rest = await takeAll(fleet(), 540, ['a', 'b', 'c'])
    expect(counts(rest)).toEqual({ a: 90, b: 180, c: 270 })
    expect(await first.take(['a', 'b', 'c'])).toMatchObject({ kind: 'none' })
  })

  test('keys with equally much left take turns evenly', async () => {
    await left(fleet().first, { a: 1000, b: 1000, c: 1000 })
    expect(counts(await takeAll(fleet(), 90, ['a', 'b', 'c']))).toEqual({ a: 30, b: 30, c: 30 })
  })

  test('a key of which nothing is known is given as often as the average one', async () => {
    await left(fleet().first, { a: 10_000, b: 30_000 })
    const given = counts(await takeAll(fleet(), 60, ['a', 'b', 'unknown']))
    expect(given).toEqual({ a: 10, b: 30, unknown: 20 })
  })

  test('an operator’s weight counts, alone and together with what is left', async () => {
    const weights = new Map([['b', 3]])
    expect(counts(await takeAll(fleet(), 40, ['a', 'b'], { weights }))).toEqual({ a: 10, b: 30 })
    await left(fleet().first, { a: 30_000, b: 10_000 })
    expect(counts(await takeAll(fleet(), 40, ['a', 'b'], { weights }))).toEqual({ a: 20, b: 20 })
  })

  test('a short window does not change whose turn it is where accounts are known', async () => {
    const { first } = fleet()
    await left(first, { a: 1000, b: 1000 })
    await first.reportQuota({ id: 'a', source: 'reply', remaining: 50, resetMs: longMs })
    expect(counts(await takeAll(fleet(), 40, ['a', 'b']))).toEqual({ a: 20, b: 20 })
  })
}

function describeLimits(fleet: () => Fleet): void {
  test('a key with less left than a request costs is not given; a batch costs one for each item', async () => {
    const { first, last } = fleet()
    await left(first, { a: 60, b: 40 })
    expect(await last.take(['a', 'b'], { units: 50 })).toMatchObject({ kind: 'key', id: 'a' })
    expect(await last.take(['a', 'b'], { units: 50 })).toMatchObject({ kind: 'none', trialUnderWay: false })
    expect(await last.take(['a', 'b'], { units: 40 })).toMatchObject({ kind: 'key', id: 'b' })
    expect((await first.quotas(['a', 'b'])).map(({ account }) => account?.remaining)).toEqual([10, 0])
  })

  test('what a request cost that was refused is given back, up to the limit', async () => {
    const { first, last } = fleet()
    await first.reportQuota({ id: 'a', source: 'account', remaining: 60, limit: 70, resetMs: longMs })
    const options = { units: 50, maxPerDay: new Map([['a', 60]]) }
    expect(await first.take(['a'], options)).toMatchObject({ kind: 'key' })
    expect(await last.take(['a'], options)).toMatchObject({ kind: 'none' })
    await last.giveBack('a', 50)
    expect(await remaining(first)).toBe(60)
    expect(await first.take(['a'], options)).toMatchObject({ kind: 'key' })
    await first.giveBack('a', 50)
    await first.giveBack('a', 50)
    expect(await remaining(last)).toBe(70)
  })

  test('what must have enough is each window, and the wait is for the one that has not', async () => {
    const { first } = fleet()
    await first.reportQuota({ id: 'a', source: 'account', remaining: 1000, resetMs: 100 * longMs })
    await first.reportQuota({ id: 'a', source: 'reply', remaining: 0, resetMs: longMs })
    const taken = await first.take(['a'])
    expect(taken).toMatchObject({ kind: 'none' })
    expect(taken.kind === 'none' && taken.retryAfterMs).toBeLessThanOrEqual(longMs)
    expect(taken.kind === 'none' && taken.retryAfterMs).toBeGreaterThan(longMs - 5000)
  })

  test('what costs nothing may be asked with an empty key', async () => {
    await left(fleet().first, { a: 0 })
    expect(await fleet().last.take(['a'], { units: 0 })).toMatchObject({ kind: 'key', id: 'a' })
  })

  test.each([
    { reserveShare: 0.05, kept: 5 },
    { reserveShare: 0.2, kept: 20 },
    { reserveShare: 0.99, kept: 99 },
  ])('who is to leave $reserveShare of the limit leaves it, to all others', async ({ reserveShare, kept }) => {
    const { first, last } = fleet()
    await first.reportQuota({ id: 'a', source: 'account', remaining: kept + 1, limit: 100, resetMs: longMs })
    expect(await last.take(['a'], { reserveShare, units: 2 })).toMatchObject({ kind: 'none' })
    expect(await first.take(['a'], { reserveShare })).toMatchObject({ kind: 'key' })
    const spared = await last.take(['a'], { reserveShare })
    expect(spared).toMatchObject({ kind: 'none' })
    expect(spared.kind === 'none' && spared.retryAfterMs).toBeGreaterThan(longMs - 5000)
    expect(await last.take(['a'], { reserveShare: reserveShare / 2 })).toMatchObject({ kind: 'key' })
    expect(await first.take(['a'], { units: kept - 1 })).toMatchObject({ kind: 'key' })
    expect(await first.take(['a'])).toMatchObject({ kind: 'none' })
  })

  test('a reserve is left in each window, and of each key by its own limit', async () => {
    const { first, last } = fleet()
    await first.reportQuota({ id: 'a', source: 'account', remaining: 900, limit: 1000, resetMs: longMs })
    await first.reportQuota({ id: 'a', source: 'reply', remaining: 25, limit: 100, resetMs: longMs })
    await first.reportQuota({ id: 'b', source: 'account', remaining: 10, limit: 40, resetMs: longMs })
    expect(counts(await takeAll(fleet(), 10, ['a', 'b'], { reserveShare: 0.2 }))).toEqual({ a: 5, b: 2, none: 3 })
    expect(await last.take(['a', 'b'])).toMatchObject({ kind: 'key' })
  })

  test('of a key whose limit is not known, or of which nothing is, no reserve is left', async () => {
    await left(fleet().first, { a: 2 })
    const given = await takeAll(fleet(), 6, ['a', 'unknown'], { reserveShare: 0.5 })
    expect(counts(given)).toMatchObject({ a: 2, unknown: 4 })
  })

  test('a key whose quota of one product is gone reads as exhausted for that product', async () => {
    const quota = { source: 'account', remaining: 1, limit: 1, resetMs: longMs } as const
    await fleet().first.reportQuota({ id: 'a', product: 'core', ...quota })
    await fleet().first.reportQuota({ id: 'a', product: 'lookup', ...quota })
    await fleet().first.take(['a'], { products: ['core'] })
    const resting = [{ product: 'core', reason: 'exhausted', remainingMs: expect.any(Number) }]
    expect(await fleet().last.read(['a', 'b'])).toEqual([
      { id: 'a', state: 'active', products: resting },
      { id: 'b', state: 'active' },
    ])
    await fleet().first.bench({ id: 'a', product: 'core', reason: 'denied', durationMs: 2 * longMs })
    expect(await fleet().last.read(['a'])).toMatchObject([{ products: [{ product: 'core', reason: 'denied' }] }])
  })

  test('an empty key reads as exhausted until its quota is full again, and is then given', async () => {
    const { first, last } = fleet()
    const empty = await eventually('a look before the reset', async () => {
      await first.reportQuota({ id: 'a', source: 'account', remaining: 1, resetMs: 300 })
      await first.take(['a'])
      const [seen] = await last.read(['a'])
      return seen?.state !== 'active' && seen
    })
    expect(empty).toEqual({ id: 'a', state: 'cooling', reason: 'exhausted', remainingMs: expect.any(Number) })
    await eventually('the reset', async () => (await last.take(['a'])).kind === 'key', fleet().moment)
    expect(await last.read(['a'])).toEqual([{ id: 'a', state: 'active' }])
  })
}

function describeReports(fleet: () => Fleet): void {
  test('used, left and limit are told to all, and go on counting', async () => {
    const { first, last } = fleet()
    await first.reportQuota({ id: 'a', source: 'account', remaining: 70, used: 30, limit: 100, resetMs: longMs })
    await takeAll(fleet(), 5, ['a'])
    const [quota] = await last.quotas(['a'])
    expect(quota).toMatchObject({ id: 'a', taken: 5, account: { remaining: 65, used: 35, limit: 100 } })
    expect(quota?.account?.resetMs).toBeLessThanOrEqual(longMs)
  })

  test('nothing is known before anything was said', async () => {
    expect(await fleet().first.quotas(['a'])).toEqual([{ id: 'a', taken: 0 }])
  })

  test('what is on its way while the account answers is not forgotten', async () => {
    const { first } = fleet()
    await left(first, { a: 100 })
    const before = await takenOf(first)
    await takeAll(fleet(), 10, ['a'])
    // The account has seen none of the ten, then some, then all of them.
    for (const seen of [100, 95, 90]) {
      await report(first, { remaining: seen, takenBefore: before })
      expect(await remaining(first)).toBe(90)
    }
  })

  test('what others have used is noted, and what was never charged comes back', async () => {
    const { first } = fleet()
    await left(first, { a: 100 })
    await report(first, { remaining: 50, takenBefore: 0 })
    expect(await remaining(first)).toBe(50)
    await takeAll(fleet(), 10, ['a'])
    await report(first, { remaining: 50, takenBefore: await takenOf(first) })
    expect(await remaining(first)).toBe(50)
  })

  test('a reply lowers what is believed, and does not raise it before its window ends', async () => {
    const { first } = fleet()
    const reply = { id: 'a', source: 'reply', limit: 60, resetMs: longMs } as const
    await first.reportQuota({ ...reply, remaining: 50 })
    await takeAll(fleet(), 5, ['a'])
    // It was answered before the others.
    await first.reportQuota({ ...reply, remaining: 49 })
    expect((await first.quotas(['a']))[0]?.reply?.remaining).toBe(45)
    await first.reportQuota({ ...reply, remaining: 20 })
    expect((await first.quotas(['a']))[0]?.reply?.remaining).toBe(20)
  })

  test('replies do not prolong their window, unless it is empty', async () => {
    const { first } = fleet()
    const reply = { id: 'a', source: 'reply' } as const
    await first.reportQuota({ ...reply, remaining: 50, resetMs: longMs })
    await first.reportQuota({ ...reply, remaining: 49, resetMs: 2 * longMs })
    expect((await first.quotas(['a']))[0]?.reply?.resetMs).toBeLessThanOrEqual(longMs)
    await first.reportQuota({ ...reply, remaining: 0, resetMs: 2 * longMs })
    expect((await first.quotas(['a']))[0]?.reply?.resetMs).toBeGreaterThan(longMs)
  })
}

function describeOperator(fleet: () => Fleet): void {
  test('keys of one account are benched together', async () => {
    const { first, last } = fleet()
    await first.bench({ id: 'a', peers: ['b'], reason: 'limited', durationMs: longMs })
    expect((await last.read(['a', 'b', 'c'])).map(({ state }) => state)).toEqual(['cooling', 'cooling', 'active'])
    expect(new Set(await takeAll(fleet(), 5, ['a', 'b', 'c']))).toEqual(new Set(['c']))
  })

  test('a longer bench keeps its reason', async () => {
    const { first, last } = fleet()
    await first.bench({ id: 'a', reason: 'exhausted', durationMs: 2 * longMs })
    await last.bench({ id: 'a', reason: 'limited', durationMs: longMs })
    expect(await first.read(['a'])).toMatchObject([{ reason: 'exhausted' }])
  })

  test('a released key is given at once by all, without a trial, whether it was benched or empty', async () => {
    const { first, last } = fleet()
    await first.bench({ id: 'a', reason: 'denied', durationMs: longMs })
    await left(first, { a: 0 })
    await last.release('a')
    expect(await first.read(['a'])).toEqual([{ id: 'a', state: 'active' }])
    expect(await first.take(['a'])).toEqual({ kind: 'key', id: 'a', trial: false })
    expect(await last.take(['a'])).toEqual({ kind: 'key', id: 'a', trial: false })
  })
}

async function left(store: KeyStore, remainingOf: Readonly<Record<string, number>>): Promise<void> {
  for (const [id, each] of Object.entries(remainingOf)) {
    await store.reportQuota({ id, source: 'account', remaining: each, resetMs: longMs })
  }
}

function report(store: KeyStore, said: Pick<QuotaReport, 'remaining' | 'takenBefore'>): Promise<void> {
  return store.reportQuota({ id: 'a', source: 'account', resetMs: longMs, ...said })
}

async function remaining(store: KeyStore): Promise<number | undefined> {
  return (await store.quotas(['a']))[0]?.account?.remaining
}

async function takenOf(store: KeyStore): Promise<number> {
  return (await store.quotas(['a']))[0]?.taken ?? 0
}

/** One after the other, over the stores in turn. */
async function takeAll(
  { stores }: Fleet,
  takes: number,
  ids: readonly string[],
  options?: TakeOptions,
): Promise<string[]> {
  const given: string[] = []
  for (let turn = 0; turn < takes; turn += 1) {
    const taken = await (stores[turn % stores.length] as KeyStore).take(ids, options)
    given.push(taken.kind === 'key' ? taken.id : 'none')
  }
  return given
}

function counts(given: readonly string[]): Record<string, number> {
  return Object.fromEntries([...new Set(given)].map((id) => [id, given.filter((each) => each === id).length]))
}
