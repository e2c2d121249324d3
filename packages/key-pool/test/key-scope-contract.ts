import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { KeyStore, TakeOptions } from '../src/key-store.ts'
import type { OpenStores, StoresUnderTest } from './key-store-contract.ts'

const longMs = 60_000
const ids = ['a', 'b']
const privacy: TakeOptions = { products: ['privacy'], learns: true }
const core: TakeOptions = { products: ['core'] }

interface Fleet extends StoresUnderTest {
  readonly first: KeyStore
  readonly last: KeyStore
}

/** What every KeyStore promises about keys and products. */
export function keyScopeContract(name: string, open: OpenStores): void {
  describe(`${name}, by key and product`, () => {
    let fleet: Fleet
    beforeEach(async () => {
      const opened = await open({ trialMs: longMs })
      fleet = { ...opened, first: opened.stores[0] as KeyStore, last: opened.stores.at(-1) as KeyStore }
    })
    afterEach(() => fleet.close())

    describeScopes(() => fleet)
    describeLessons(() => fleet)
    describeCosts(() => fleet)
  })
}

function describeScopes(fleet: () => Fleet): void {
  test('a bench for one product leaves the key to all others, and is told', async () => {
    const { first, last } = fleet()
    await first.bench({ id: 'a', product: 'map', reason: 'limited', durationMs: longMs })
    expect(await last.take(['a'], { products: ['map'] })).toMatchObject({ kind: 'none', trialUnderWay: false })
    expect(await last.take(['a'], core)).toMatchObject({ id: 'a', trial: false })
    expect(await last.take(['a'])).toMatchObject({ id: 'a', trial: false })
    expect(await last.read(['a'])).toEqual([
      { id: 'a', state: 'active', products: [{ product: 'map', reason: 'limited', remainingMs: expect.any(Number) }] },
    ])
  })

  test('a batch needs both its items’ product and the batch; a bench of the batch leaves the items', async () => {
    const { first, last } = fleet()
    await first.bench({ id: 'a', product: 'batch/core', reason: 'limited', durationMs: longMs })
    expect(await last.take(['a'], { products: ['core', 'batch/core'] })).toMatchObject({ kind: 'none' })
    expect(await last.take(['a'], core)).toMatchObject({ id: 'a' })
    expect(await last.take(['a'], { products: ['privacy', 'batch/privacy'] })).toMatchObject({ id: 'a' })
  })

  test('a bench of the key as a whole keeps it from every product', async () => {
    const { first, last } = fleet()
    await first.bench({ id: 'a', reason: 'denied', durationMs: longMs })
    for (const options of [core, privacy]) expect(await last.take(ids, options)).toMatchObject({ id: 'b' })
  })

  test('strikes of the key as a whole count for its products, and a limit of one leaves the trial to others', async () => {
    const { first, last, moment } = fleet()
    const limited = { id: 'a', reason: 'limited', doublingUpToMs: 100 * longMs } as const
    await first.bench({ ...limited, durationMs: 5 })
    await moment()
    await moment()
    expect(await first.take(['a'], core)).toMatchObject({ id: 'a', trial: true })
    expect(await first.bench({ ...limited, product: 'core', durationMs: longMs })).toBe(2 * longMs)
    expect(await last.take(['a'], privacy)).toMatchObject({ id: 'a', trial: true })
    expect(await last.take(['a'], core)).toMatchObject({ kind: 'none' })
  })

  test('a refusal that is certain lasts in full, also where one was suspected a moment before', async () => {
    const { first, last } = fleet()
    const denied = { id: 'a', product: 'privacy', reason: 'denied' } as const
    await first.bench({ ...denied, durationMs: longMs / 10, isProvisional: true })
    const certain = { ...denied, durationMs: longMs, doublingUpToMs: 10 * longMs }
    expect(await last.bench(certain)).toBe(longMs)
    // Of what was under way together only the first counts.
    expect(await first.bench(certain)).toBeLessThanOrEqual(longMs)
  })

  test('a key whose quota is gone is still asked what costs nothing', async () => {
    const { first, last } = fleet()
    await first.bench({ id: 'a', reason: 'exhausted', durationMs: longMs })
    const free: TakeOptions = { products: ['lite'], units: 0 }
    for (const store of [first, last]) expect(await store.take(['a'], free)).toMatchObject({ id: 'a', trial: false })
    expect(await last.take(['a'], core)).toMatchObject({ kind: 'none' })
  })

  test('a product that every key was refused is refused from memory, with what was said', async () => {
    const { first, last } = fleet()
    await first.bench({ id: 'a', product: 'privacy', reason: 'denied', durationMs: longMs, status: 400 })
    expect(await last.take(['a'], privacy)).toMatchObject({ kind: 'none', deniedStatus: 400 })
    expect(await last.take(ids, privacy)).toMatchObject({ id: 'b' })
    await last.bench({ id: 'b', product: 'privacy', reason: 'limited', durationMs: longMs })
    expect(await last.take(ids, privacy)).not.toHaveProperty('deniedStatus')
    await last.bench({ id: 'b', product: 'privacy', reason: 'denied', durationMs: 2 * longMs, status: 403 })
    expect(await first.take(ids, privacy)).toMatchObject({ deniedStatus: 403 })
  })

  test('the trial after a bench is for that product, and its success ends it', async () => {
    const { first, last, moment } = fleet()
    await first.bench({ id: 'a', product: 'core', reason: 'limited', durationMs: 5 })
    await moment()
    await moment()
    expect(await first.take(['a'], core)).toMatchObject({ id: 'a', trial: true })
    expect(await last.take(['a'], core)).toMatchObject({ kind: 'none', trialUnderWay: true })
    expect(await last.take(['a'], { products: ['asn'] })).toMatchObject({ trial: false })
    await first.endTrial('a', 'recovered', ['core'])
    expect(await last.take(['a'], core)).toMatchObject({ trial: false })
  })

  test('a release ends every bench of the key, and of no other', async () => {
    const { first, last } = fleet()
    for (const id of ['a', 'ab']) await first.bench({ id, product: 'core', reason: 'limited', durationMs: longMs })
    await last.release('a')
    expect(await last.take(['a'], core)).toMatchObject({ id: 'a' })
    expect(await last.take(['ab'], core)).toMatchObject({ kind: 'none' })
  })
}

function describeLessons(fleet: () => Fleet): void {
  test('whether a key may ask is found out by one request; then everybody knows', async () => {
    const { first, last } = fleet()
    expect(await first.take(['a'], privacy)).toMatchObject({ id: 'a', learning: true })
    expect(await last.take(['a'], privacy)).toMatchObject({ kind: 'none', trialUnderWay: true })
    expect(await last.take(['a'], { ...privacy, learns: false })).toMatchObject({ id: 'a' })
    await first.learn({ id: 'a', product: 'privacy', forMs: longMs })
    expect(await last.take(['a'], privacy)).toEqual({ kind: 'key', id: 'a', trial: false })
  })

  test('when that was not found out the next one tries', async () => {
    const { first, last } = fleet()
    await first.take(['a'], privacy)
    await first.endTrial('a', 'unknown', ['privacy'])
    expect(await last.take(['a'], privacy)).toMatchObject({ learning: true })
  })

  test('where one key may not ask, those known to may come first; declared ones come before all', async () => {
    const { first, last } = fleet()
    const all = ['a', 'b', 'c', 'd']
    await first.bench({ id: 'a', product: 'privacy', reason: 'denied', durationMs: longMs })
    await first.learn({ id: 'b', product: 'privacy', forMs: longMs })
    for (let turn = 0; turn < 4; turn += 1) expect(await last.take(all, privacy)).toMatchObject({ id: 'b' })
    await first.bench({ id: 'b', product: 'privacy', reason: 'limited', durationMs: longMs })
    expect(await last.take(all, privacy)).toMatchObject({ learning: true })
    for (const id of ['c', 'd']) await first.endTrial(id, 'unknown', ['privacy'])
    expect(await last.take(all, { ...privacy, declared: new Set(['d']) })).toMatchObject({ id: 'd' })
  })

  test('the richest records are preferred, among keys that were seen and those that were not', async () => {
    const { first, last } = fleet()
    const full: TakeOptions = { ...core, prefersRich: true }
    await first.learn({ id: 'a', product: 'core', forMs: longMs, richness: 0 })
    await first.learn({ id: 'b', product: 'core', forMs: longMs, richness: 3 })
    for (let turn = 0; turn < 4; turn += 1) {
      expect(await last.take(ids, full)).toEqual({
        kind: 'key',
        id: 'b',
        trial: false,
        richness: 3,
        richest: 3,
        mixed: true,
      })
    }
    const asked = await Promise.all(Array.from({ length: 6 }, () => last.take([...ids, 'c'], full)))
    expect(new Set(asked.map((taken) => (taken.kind === 'key' ? taken.id : '')))).toEqual(new Set(['b', 'c']))
    const [a, b] = [await last.take(ids, core), await last.take(ids, core)]
    expect(new Set([a, b].map((taken) => (taken.kind === 'key' ? taken.id : '')))).toEqual(new Set(ids))
  })
}

function describeCosts(fleet: () => Fleet): void {
  const payers = new Set(['a'])

  test('a key that may cost comes after the paid units of all others, and what is beyond is counted', async () => {
    const { first, last } = fleet()
    await first.reportQuota({ id: 'a', source: 'account', remaining: 0, limit: 10, resetMs: longMs })
    await first.reportQuota({ id: 'b', source: 'account', remaining: 2, limit: 10, resetMs: longMs })
    const taken = []
    for (let turn = 0; turn < 4; turn += 1) taken.push(await last.take(ids, { ...core, payers }))
    expect(taken).toMatchObject([{ id: 'b' }, { id: 'b' }, { id: 'a', overage: true }, { id: 'a', overage: true }])
    expect(await first.quotas(ids)).toMatchObject([{ id: 'a', overage: 2, account: { remaining: 0 } }, { taken: 2 }])
    expect(await last.take(ids, core)).toMatchObject({ kind: 'none' })
    expect(await last.read(ids, { payers })).toMatchObject([
      { id: 'a', state: 'active' },
      { id: 'b', state: 'cooling', reason: 'exhausted' },
    ])
  })

  test('a refresh, which no client waits for, never costs', async () => {
    const { first, last } = fleet()
    await first.reportQuota({ id: 'a', source: 'account', remaining: 0, limit: 10, resetMs: longMs })
    expect(await last.take(['a'], { ...core, payers, reserveShare: 0.05 })).toMatchObject({ kind: 'none' })
  })

  test('a key is used for so many units a day', async () => {
    const { first, last } = fleet()
    const bounded: TakeOptions = { ...core, maxPerDay: new Map([['a', 3]]) }
    for (const store of [first, last, first]) expect(await store.take(['a'], bounded)).toMatchObject({ id: 'a' })
    const none = await last.take(['a'], bounded)
    expect(none).toMatchObject({ kind: 'none' })
    expect(none.kind === 'none' && none.retryAfterMs).toBeLessThanOrEqual(86_400_000)
    const [{ remainingMs = 0, ...state } = {}] = await last.read(['a'], bounded)
    expect(state).toEqual({ id: 'a', state: 'cooling', reason: 'exhausted' })
    expect(Math.abs(remainingMs - (86_400_000 - (Date.now() % 86_400_000)))).toBeLessThan(60_000)
    expect(await last.read(['a'], { maxPerDay: new Map([['a', 4]]) })).toEqual([{ id: 'a', state: 'active' }])
    expect(await last.take(['a'], { ...bounded, units: 0 })).toMatchObject({ id: 'a' })
  })

  test('when a key is back is said by the rules that keys are given by, trials under way being over', async () => {
    const { first, last, moment } = fleet()
    await first.bench({ id: 'a', reason: 'limited', durationMs: 2 * longMs })
    await first.bench({ id: 'b', product: 'core', reason: 'denied', durationMs: longMs, status: 403 })
    const { retryAfterMs, ...more } = await last.returnOf(ids, core)
    expect(more).toEqual({})
    expect(retryAfterMs).toBeGreaterThan(longMs / 2)
    expect(retryAfterMs).toBeLessThanOrEqual(longMs)
    expect(await last.returnOf(['b'], core)).toMatchObject({ deniedStatus: 403 })
    await first.reportQuota({ id: 'c', source: 'account', remaining: 0, resetMs: longMs })
    expect((await last.returnOf(['c'], core)).retryAfterMs).toBeGreaterThan(longMs / 2)
    expect(await last.returnOf(['c'], { ...core, payers: new Set(['c']) })).toEqual({ retryAfterMs: 0 })
    await first.bench({ id: 'd', reason: 'limited', durationMs: 5 })
    await moment()
    await moment()
    expect(await first.take(['d'])).toMatchObject({ trial: true })
    expect(await last.returnOf(['d'])).toEqual({ retryAfterMs: 0 })
  })

  test('a product’s own quota keeps the key from that product only', async () => {
    const { first, last } = fleet()
    await first.reportQuota({ id: 'a', product: 'privacy', source: 'account', remaining: 1, limit: 1, resetMs: longMs })
    const asked: TakeOptions = { products: ['privacy'] }
    expect(await first.take(['a'], asked)).toMatchObject({ id: 'a' })
    // The account tells the limit again, and not what is used of it.
    await last.reportQuota({ id: 'a', product: 'privacy', source: 'account', remaining: 1, limit: 1, resetMs: longMs })
    expect(await last.take(['a'], asked)).toMatchObject({ kind: 'none' })
    expect(await last.take(['a'], core)).toMatchObject({ id: 'a' })
  })
}
