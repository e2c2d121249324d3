import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { describe, expect, test } from '@jest/globals'
import { readIpPool } from './ip-pool.ts'
import { LiveSource } from './live-source.ts'
import { type IsUsable, LeastRecentlyUsed, RandomTurns, type Rotation, RoundRobin } from './rotations.ts'

function sources(count: number): readonly LiveSource[] {
  const pool = readIpPool(Array.from({ length: count }, (_, index) => `127.0.0.${index + 1}`))
  return pool.kind === 'entries' ? pool.entries.map((entry) => new LiveSource(entry, manualClock())) : []
}

const lastByte = (source: LiveSource | undefined): number => Number(source?.entry.id.split('.')[3])
const any: IsUsable = () => true
const except =
  (...out: number[]): IsUsable =>
  (source) =>
    !out.includes(lastByte(source))

function turns(rotation: Rotation, count: number, isUsable = any): number[] {
  return Array.from({ length: count }, () => lastByte(rotation.next(isUsable) as LiveSource | undefined))
}

/** How often each of the sources 1 to `size` came. */
function counts(taken: readonly number[], size: number): number[] {
  return Array.from({ length: size }, (_, index) => taken.filter((each) => each === index + 1).length)
}

const spread = (numbers: readonly number[]): number => Math.max(...numbers) - Math.min(...numbers)

describe('round robin', () => {
  test('strictly alternates', () => {
    expect(turns(new RoundRobin(sources(3), 1), 7)).toEqual([2, 3, 1, 2, 3, 1, 2])
  })

  test.each([
    [4, 2],
    [5, 3],
    [7, 10],
  ])('of %d sources, whatever %d replicas make of any number of connections, none has much more', (size, replicas) => {
    const rotations = Array.from({ length: replicas }, (_, index) => new RoundRobin(sources(size), index))
    const taken = rotations.flatMap((rotation, index) => turns(rotation, 1000 + index * 37))
    expect(spread(counts(taken, size))).toBeLessThanOrEqual(replicas)
  })

  test('replicas that each make one connection do not all use the same source', () => {
    const taken = Array.from({ length: 12 }, (_, index) => turns(new RoundRobin(sources(4), index), 1)).flat()
    expect(counts(taken, 4)).toEqual([3, 3, 3, 3])
  })

  test('the place where it begins can be said until it has begun', () => {
    const rotation = new RoundRobin(sources(3), 0)
    rotation.startAt(5)
    expect(turns(rotation, 1)).toEqual([3])
    rotation.startAt(1)
    expect(turns(rotation, 3)).toEqual([1, 2, 3])
  })

  test.each([[[2]], [[1, 2]], [[4, 5]], [[2, 3, 4]]])(
    'the turns of %j, which are out, go to all others alike',
    (out) => {
      const taken = turns(new RoundRobin(sources(5), 3), 5000, except(...out))
      const healthy = counts(taken, 5).filter((count) => count > 0)
      expect(healthy).toHaveLength(5 - out.length)
      expect(spread(healthy)).toBeLessThanOrEqual(2)
    },
  )

  test('what one that fails each time had to leave to the next in turn goes to all others alike', () => {
    const rotation = new RoundRobin(sources(5), 0)
    const served = Array.from({ length: 4000 }, () => {
      const [first = 0] = turns(rotation, 1)
      return first === 3 ? (turns(rotation, 1, except(3))[0] ?? 0) : first
    })
    const [one = 0, two = 0, three, four = 0, five = 0] = counts(served, 5)
    expect(three).toBe(0)
    expect(spread([one, two, four, five])).toBeLessThanOrEqual(1)
  })

  test('who comes back has its turns again, not those that it has missed', () => {
    const rotation = new RoundRobin(sources(4), 0)
    turns(rotation, 100, except(2))
    expect(counts(turns(rotation, 100), 4)).toEqual([25, 25, 25, 25])
  })
})

describe('random', () => {
  test('chooses all alike, and differently each time', () => {
    const rotation = new RandomTurns(sources(4), Math.random)
    const taken = turns(rotation, 8000)
    // 2000 ± 39 each: seven standard deviations.
    for (const count of counts(taken, 4)) expect(Math.abs(count - 2000)).toBeLessThan(273)
    expect(taken.filter((each, index) => each === taken[index + 1]).length).toBeGreaterThan(1000)
  })

  test('shares the turns of those that are out among all others', () => {
    const taken = turns(new RandomTurns(sources(5), Math.random), 9000, except(2, 3))
    const [first, second, third, fourth, fifth] = counts(taken, 5)
    expect([second, third]).toEqual([0, 0])
    for (const count of [first, fourth, fifth]) expect(Math.abs((count ?? 0) - 3000)).toBeLessThan(313)
  })
})

describe('least recently used, without Redis', () => {
  test('chooses who has rested longest', () => {
    const rotation = new LeastRecentlyUsed(sources(4), undefined)
    expect(turns(rotation, 4)).toEqual([1, 2, 3, 4])
    turns(rotation, 2, except(1, 2, 4))
    expect(turns(rotation, 5)).toEqual([1, 2, 4, 3, 1])
  })
})

test.each<[string, Rotation]>([
  ['round robin', new RoundRobin(sources(3), 0)],
  ['random', new RandomTurns(sources(3), Math.random)],
  ['least recently used', new LeastRecentlyUsed(sources(3), undefined)],
])('%s chooses nobody when nobody is left, and the last who is', (_name, rotation) => {
  expect(rotation.next(() => false)).toBeUndefined()
  expect(turns(rotation, 3, except(1, 3))).toEqual([2, 2, 2])
})
