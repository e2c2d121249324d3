import { expect, test } from '@jest/globals'
import { fuzzHeads } from './head-fuzz.ts'
import { fuzzStreams } from './stream-fuzz.ts'

test('of 50,000 mutated heads, each that the lane reads is read alike by node:http', async () => {
  const { read, differences } = await fuzzHeads(50_000, 1)
  expect(differences.slice(0, 3)).toEqual([])
  // Most are handed over; without any that is read, this would show nothing.
  expect(read).toBeGreaterThan(10_000)
})

test.each(['answering', 'serving', 'both'] as const)(
  '200 streams are answered alike by a lane that is %s and by none',
  async (lane) => {
    const { differences, inLane } = await fuzzStreams(lane, 200, 1)
    expect(differences.slice(0, 3)).toEqual([])
    expect(inLane).toBeGreaterThan(25)
  },
)
