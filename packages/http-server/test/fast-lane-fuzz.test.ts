import { expect, test } from '@jest/globals'
import { fuzzHeads } from './head-fuzz.ts'
import { fuzzStreams } from './stream-fuzz.ts'

test('of 50,000 mutated heads, each that the lane reads is read alike by node:http', async () => {
  const { read, differences } = await fuzzHeads(50_000, 1)
  expect(differences.slice(0, 3)).toEqual([])
  // Most are handed over; without any that is read, this would show nothing.
  expect(read).toBeGreaterThan(10_000)
})

test('400 streams of requests are answered alike with the lane and without', async () => {
  const { differences, inLane } = await fuzzStreams(400, 1)
  expect(differences.slice(0, 3)).toEqual([])
  expect(inLane).toBeGreaterThan(200)
})
