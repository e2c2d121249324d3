import { expect, test } from '@jest/globals'
import { patientWithRedis, startLocalFleet } from './local-fleet.ts'

/** What a fleet asks upstream under the traffic that it is made for. */
const requests = 10_000
const popular = 1500
const oneOffShare = 0.1

/** A fixed sequence from 0 to 1 (mulberry32), so that every run asks the same. */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Ranks drawn from a Zipf distribution, mixed with addresses that are asked for once. */
function zipfPaths(exponent: number): string[] {
  const weights = Array.from({ length: popular }, (_, rank) => (rank + 1) ** -exponent)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  let sum = 0
  const upTo = weights.map((weight) => (sum += weight / total))
  const random = numbers(exponent * 1000)
  return Array.from({ length: requests }, (_, index) => {
    const isOneOff = random() < oneOffShare
    const drawn = random()
    const number = isOneOff ? index : upTo.findIndex((bound) => bound >= drawn)
    return `/${isOneOff ? 30 : 20}.${number >> 16}.${(number >> 8) & 255}.${number & 255}`
  })
}

test.each([0.8, 1.1])(
  'Zipf traffic (s = %d) over four replicas asks upstream once for each question',
  async (s) => {
    await using fleet = await startLocalFleet({
      replicas: 4,
      env: patientWithRedis,
      fake: { latencyMs: 20 },
    })
    const paths = zipfPaths(s)
    let next = 0
    const statuses = new Set<number>()
    const client = async (replica: number): Promise<void> => {
      for (let path = paths[next++]; path !== undefined; path = paths[next++]) {
        statuses.add((await fleet.ask(path, { replica })).status)
      }
    }
    await Promise.all(Array.from({ length: 40 }, (_, index) => client(index % 4)))
    expect(statuses).toEqual(new Set([200]))
    expect(fleet.fake.stats().total).toBe(new Set(paths).size)
  },
  60_000,
)
