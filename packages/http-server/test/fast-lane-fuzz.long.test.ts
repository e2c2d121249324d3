import { expect, test } from '@jest/globals'
import { fuzzHeads } from './head-fuzz.ts'
import { fuzzStreams } from './stream-fuzz.ts'

test('of a million mutated heads, each that the lane reads is read alike by node:http', async () => {
  const { read, differences } = await fuzzHeads(1_000_000, 2)
  expect(differences.slice(0, 3)).toEqual([])
  expect(read).toBeGreaterThan(200_000)
})

test('20,000 streams of requests are answered alike with the lane and without', async () => {
  const { differences, inLane } = await fuzzStreams(20_000, 2)
  expect(differences.slice(0, 3)).toEqual([])
  expect(inLane).toBeGreaterThan(10_000)
})
