import { expect, test } from '@jest/globals'
import { fuzzHeads } from './head-fuzz.ts'
import { fuzzStreams } from './stream-fuzz.ts'

test('of a million mutated heads, each that the lane reads is read alike by node:http', async () => {
  const { read, differences } = await fuzzHeads(1_000_000, 2)
  expect(differences.slice(0, 3)).toEqual([])
  expect(read).toBeGreaterThan(200_000)
})

test.each(['answering', 'serving', 'both'] as const)(
  '10,000 streams are answered alike by a lane that is %s and by none',
  async (lane) => {
    const { differences, inLane } = await fuzzStreams(lane, 10_000, 2)
    expect(differences.slice(0, 3)).toEqual([])
    expect(inLane).toBeGreaterThan(1500)
  },
)
