import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { KeyState, KeyStore, Taken } from '../src/key-store.ts'
import { eventually } from './eventually.ts'

/** One fleet's stores, as the contract uses them. */
export interface StoresUnderTest {
  /** What one of them does, the others see; at least one. */
  readonly stores: readonly KeyStore[]
  /** Lets about ten milliseconds pass. */
  readonly moment: () => Promise<unknown>
  readonly close: () => Promise<unknown>
}

export type OpenStores = (options: { trialMs: number }) => Promise<StoresUnderTest>

/** Longer than any test. */
const longMs = 60_000
const shortMs = 40
/** What a slow machine may take between two calls. */
const slackMs = 5000

interface Fleet extends StoresUnderTest {
  readonly first: KeyStore
  readonly last: KeyStore
}

/** What every KeyStore promises. */
export function keyStoreContract(name: string, open: OpenStores): void {
  describe(`${name}, as a KeyStore`, () => {
    let fleet: Fleet

    async function openWith(options: { trialMs: number }): Promise<void> {
      const opened = await open(options)
      fleet = { ...opened, first: opened.stores[0] as KeyStore, last: opened.stores.at(-1) as KeyStore }
    }

    beforeEach(() => openWith({ trialMs: longMs }))
    afterEach(() => fleet.close())

    describeRotation(() => fleet)
    describeBenches(() => fleet)
    describeTrials(() => fleet)

    test('a trial whose holder died is over after its time: the next request may try', async () => {
      await fleet.close()
      await openWith({ trialMs: 150 })
      await benchAndWait(fleet, 'a')
      expect(await fleet.first.take(['a'])).toEqual({ kind: 'key', id: 'a', trial: true })
      const next = await eventually('the next trial', () => takenKey(fleet.last, ['a']), fleet.moment)
      expect(next).toEqual({ kind: 'key', id: 'a', trial: true })
    })
  })
}

function describeRotation(fleet: () => Fleet): void {
  test('1000 takes over all stores use every key alike, within 5 %', async () => {
    expectEven(await countTakes(fleet(), 1000, keyNames(7)), keyNames(7))
  })

  test('while one key is benched the others share its turns evenly', async () => {
    await fleet().first.bench({ id: 'key3', reason: 'limited', durationMs: longMs })
    const counts = await countTakes(fleet(), 1000, keyNames(5))
    expect(counts.get('key3')).toBeUndefined()
    expectEven(counts, ['key0', 'key1', 'key2', 'key4'])
  })

  test('only what is asked for is given', async () => {
    const { first } = fleet()
    const taken = await Promise.all(Array.from({ length: 20 }, () => first.take(['b'])))
    expect(taken).toEqual(Array.from({ length: 20 }, () => ({ kind: 'key', id: 'b', trial: false })))
    expect(await first.take([])).toEqual({ kind: 'none', retryAfterMs: 0, trialUnderWay: false })
  })
}

function describeBenches(fleet: () => Fleet): void {
  test('a benched key is not given by any store, and says why and for how long', async () => {
    const { first, stores } = fleet()
    const forMs = await first.bench({ id: 'a', reason: 'denied', durationMs: longMs })
    expectAbout(forMs, longMs)
    for (const store of stores) {
      expect(await takeTimes(store, 4, ['a', 'b'])).toEqual(['b', 'b', 'b', 'b'])
      const [a, b] = (await store.read(['a', 'b'])) as [KeyState, KeyState]
      expect(a).toMatchObject({ id: 'a', state: 'cooling', reason: 'denied' })
      expectAbout(a.remainingMs, longMs)
      expect(b).toEqual({ id: 'b', state: 'active' })
    }
  })

  test('an earlier, longer bench stands', async () => {
    const { first, last } = fleet()
    await first.bench({ id: 'a', reason: 'limited', durationMs: 2 * longMs })
    expectAbout(await last.bench({ id: 'a', reason: 'limited', durationMs: longMs }), 2 * longMs)
    expectAbout(await remaining(first, 'a'), 2 * longMs)
  })

  test('a later, longer bench extends it', async () => {
    const { first, last } = fleet()
    await first.bench({ id: 'a', reason: 'limited', durationMs: longMs })
    expectAbout(await last.bench({ id: 'a', reason: 'limited', durationMs: 2 * longMs }), 2 * longMs)
    expectAbout(await remaining(first, 'a'), 2 * longMs)
  })

  test('all benched: the earliest return of those asked for', async () => {
    const { first, last } = fleet()
    await first.bench({ id: 'a', reason: 'limited', durationMs: 3 * longMs })
    await first.bench({ id: 'b', reason: 'limited', durationMs: 2 * longMs })
    await first.bench({ id: 'c', reason: 'limited', durationMs: longMs })
    expectNone(await last.take(['a', 'b', 'c']), longMs)
    expectNone(await last.take(['a', 'b']), 2 * longMs)
  })

  test('a repeat offender rests twice as long each time, up to the cap, and normally again after a success', async () => {
    const { first, last } = fleet()
    const bench = { id: 'a', reason: 'limited', durationMs: shortMs, doublingUpToMs: 3 * shortMs } as const
    expectAbout(await first.bench(bench), shortMs, 2)
    await benchEnd(fleet(), 'a')
    expectAbout(await last.bench(bench), 2 * shortMs, 2)
    await benchEnd(fleet(), 'a')
    expectAbout(await first.bench(bench), 3 * shortMs, 2)
    await benchEnd(fleet(), 'a')
    await last.endTrial('a', 'recovered')
    expectAbout(await first.bench(bench), shortMs, 2)
  })

  test('a bench that may not be the key’s fault is no strike', async () => {
    const { first, last } = fleet()
    const bench = { id: 'a', reason: 'denied', durationMs: shortMs } as const
    for (let time = 0; time < 2; time += 1) {
      expectAbout(await first.bench({ ...bench, isProvisional: true }), shortMs, 2)
      await benchEnd(fleet(), 'a')
    }
    expect(await last.take(['a'])).toMatchObject({ id: 'a', trial: true })
    expectAbout(await last.bench({ ...bench, doublingUpToMs: 3 * shortMs }), shortMs, 2)
  })

  test('without a cap a repeat offender rests for exactly the time given', async () => {
    const { first } = fleet()
    const bench = { id: 'a', reason: 'limited', durationMs: shortMs } as const
    await first.bench(bench)
    await benchEnd(fleet(), 'a')
    expectAbout(await first.bench(bench), shortMs, 2)
  })

  test('however often it offends, the time stays a number below the cap', async () => {
    const { first, last } = fleet()
    const bench = { id: 'a', reason: 'limited', durationMs: 1, doublingUpToMs: 8 } as const
    for (let strike = 0; strike < 30; strike += 1) {
      await first.bench(bench)
      await benchEnd(fleet(), 'a')
    }
    expectAbout(await last.bench(bench), 8, 2)
  })

  test('requests that were under way together and report the same limit are one strike', async () => {
    const { stores } = fleet()
    const bench = { id: 'a', reason: 'limited', durationMs: longMs, doublingUpToMs: 100 * longMs } as const
    const reports = Array.from({ length: 12 }, (_, index) => (stores[index % stores.length] as KeyStore).bench(bench))
    for (const forMs of await Promise.all(reports)) expectAbout(forMs, longMs)
  })
}

function describeTrials(fleet: () => Fleet): void {
  test('after its bench a key is tried by one request of the fleet', async () => {
    const { stores } = fleet()
    await benchAndWait(fleet(), 'a')
    const takes = Array.from({ length: 9 }, (_, index) => (stores[index % stores.length] as KeyStore).take(['a']))
    const taken = await Promise.all(takes)
    expect(taken.filter(({ kind }) => kind === 'key')).toEqual([{ kind: 'key', id: 'a', trial: true }])
    const others = taken.filter((each) => each.kind === 'none')
    expect(others.map(({ trialUnderWay }) => trialUnderWay)).toEqual(Array.from({ length: 8 }, () => true))
  })

  test('a benched key that is not being tried is no trial under way', async () => {
    const { first } = fleet()
    await first.bench({ id: 'a', reason: 'limited', durationMs: longMs })
    expect(await first.take(['a'])).toMatchObject({ kind: 'none', trialUnderWay: false })
  })

  test('between bench and success it reads as being on trial', async () => {
    const { last } = fleet()
    await benchAndWait(fleet(), 'a', 'denied')
    expect(await last.read(['a'])).toEqual([{ id: 'a', state: 'trial', reason: 'denied' }])
  })

  test('a trial that succeeded gives the key back to everyone', async () => {
    const { first, last } = fleet()
    await benchAndWait(fleet(), 'a')
    await first.take(['a'])
    await first.endTrial('a', 'recovered')
    expect(await last.read(['a'])).toEqual([{ id: 'a', state: 'active' }])
    expect(await takeTimes(last, 3, ['a'])).toEqual(['a', 'a', 'a'])
    expect(await last.take(['a'])).toEqual({ kind: 'key', id: 'a', trial: false })
  })

  test('a trial that taught nothing lets the next request try', async () => {
    const { first, last } = fleet()
    await benchAndWait(fleet(), 'a')
    await first.take(['a'])
    await first.endTrial('a', 'unknown')
    expect(await last.take(['a'])).toEqual({ kind: 'key', id: 'a', trial: true })
    expect(await first.take(['a'])).toMatchObject({ kind: 'none', trialUnderWay: true })
  })

  test('a trial that failed benches the key again, and no request waits for it', async () => {
    const { first, last } = fleet()
    await benchAndWait(fleet(), 'a')
    await first.take(['a'])
    await first.bench({ id: 'a', reason: 'limited', durationMs: longMs })
    expectNone(await last.take(['a']), longMs)
  })

  test('a late word of success does not end a bench that came after it', async () => {
    const { first, last } = fleet()
    await benchAndWait(fleet(), 'a')
    await last.bench({ id: 'a', reason: 'limited', durationMs: longMs })
    await first.endTrial('a', 'recovered')
    await first.endTrial('a', 'unknown')
    expectNone(await first.take(['a']), longMs)
  })

  test('the end of a trial of a key that was never benched changes nothing', async () => {
    const { first, last } = fleet()
    await first.endTrial('a', 'recovered')
    await first.endTrial('a', 'unknown')
    expect(await last.read(['a'])).toEqual([{ id: 'a', state: 'active' }])
  })

  test('while one key is being tried the others go on', async () => {
    const { first, last } = fleet()
    await benchAndWait(fleet(), 'a')
    await eventually('the trial of a', async () => {
      const taken = await first.take(['a', 'b'])
      return taken.kind === 'key' && taken.trial
    })
    expect(await takeTimes(last, 4, ['a', 'b'])).toEqual(['b', 'b', 'b', 'b'])
  })
}

function keyNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `key${index}`)
}

/** Eight takes at a time, over the stores in turn. */
async function countTakes({ stores }: Fleet, takes: number, ids: readonly string[]): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  let left = takes
  async function worker(): Promise<void> {
    while (left > 0) {
      left -= 1
      const taken = await (stores[left % stores.length] as KeyStore).take(ids)
      if (taken.kind === 'key') counts.set(taken.id, (counts.get(taken.id) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: 8 }, worker))
  return counts
}

function expectEven(counts: ReadonlyMap<string, number>, ids: readonly string[]): void {
  const fair = 1000 / ids.length
  for (const id of ids) {
    expect(counts.get(id)).toBeGreaterThanOrEqual(fair * 0.95)
    expect(counts.get(id)).toBeLessThanOrEqual(fair * 1.05)
  }
}

async function takeTimes(store: KeyStore, times: number, ids: readonly string[]): Promise<(string | undefined)[]> {
  const taken = await Promise.all(Array.from({ length: times }, () => store.take(ids)))
  return taken.map((each) => (each.kind === 'key' ? each.id : undefined))
}

async function takenKey(store: KeyStore, ids: readonly string[]): Promise<Taken | undefined> {
  const taken = await store.take(ids)
  return taken.kind === 'key' ? taken : undefined
}

async function remaining(store: KeyStore, id: string): Promise<number | undefined> {
  const [state] = await store.read([id])
  return state?.remainingMs
}

async function benchAndWait(fleet: Fleet, id: string, reason: 'limited' | 'denied' = 'limited'): Promise<void> {
  await fleet.first.bench({ id, reason, durationMs: shortMs })
  await benchEnd(fleet, id)
}

async function benchEnd({ last, moment }: Fleet, id: string): Promise<void> {
  await eventually(`the end of the bench of ${id}`, async () => (await last.read([id]))[0]?.state === 'trial', moment)
}

/** `lessMs`: what may have passed since. */
function expectAbout(actualMs: number | undefined, expectedMs: number, lessMs = slackMs): void {
  expect(actualMs).toBeLessThanOrEqual(expectedMs + 1)
  expect(actualMs).toBeGreaterThan(expectedMs - lessMs)
}

function expectNone(taken: Taken, retryAfterMs: number): void {
  expect(taken).toMatchObject({ kind: 'none', trialUnderWay: false })
  if (taken.kind === 'none') expectAbout(taken.retryAfterMs, retryAfterMs)
}
