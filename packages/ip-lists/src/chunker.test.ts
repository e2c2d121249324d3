import { expect, test } from '@jest/globals'
import { batchLimits, type Chunk, chunksOf } from './chunker.ts'

async function* groups(inputs: readonly string[], size: number): AsyncGenerator<readonly string[]> {
  for (let start = 0; start < inputs.length; start += size) yield inputs.slice(start, start + size)
}

function chunked(inputs: readonly string[], groupSize = 1000): Promise<Chunk[]> {
  return Array.fromAsync(chunksOf(groups(inputs, groupSize)))
}

function addressesOf(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `10.0.${index >> 8}.${index & 255}`)
}

test('a chunk holds no more than 1,000 distinct addresses', async () => {
  const chunks = await chunked(addressesOf(2500))
  expect(chunks.map(({ index, inputs }) => [index, inputs.length])).toEqual([
    [0, 1000],
    [1, 1000],
    [2, 500],
  ])
})

test('what comes again and what is no address is not counted, up to 4,000 lines', async () => {
  const inputs = addressesOf(10_000).map((_, index) => (index % 2 === 0 ? ` 10.0.0.${index % 200} ` : `foo ${index}`))
  expect((await chunked(inputs)).map(({ inputs: { length } }) => length)).toEqual([4000, 4000, 2000])
})

test('a chunk holds no more than 256 Ki characters', async () => {
  const chunks = await chunked(Array.from({ length: 9 }, () => 'x'.repeat(65_536)))
  expect(chunks.map(({ inputs }) => inputs.length)).toEqual([4, 4, 1])
})

test('all inputs are there once, in order, and cut the same however they are grouped', async () => {
  const inputs = addressesOf(6000).map((address, index) => (index % 7 === 0 ? '' : address))
  const chunks = await chunked(inputs, 6000)
  expect(chunks.flatMap((chunk) => chunk.inputs)).toEqual(inputs)
  for (const size of [1, 13, 999]) expect(await chunked(inputs, size)).toEqual(chunks)
})

test('no inputs make no chunk', async () => {
  expect(await chunked([])).toEqual([])
})

test('a batch asks for up to 250 addresses, each once, in one spelling; all inputs are in it in their order', async () => {
  const inputs = Array.from({ length: 2000 }, (_, at) => {
    const spellings = [`1.1.${at >> 8}.${at & 255}`, ' 8.8.8.8 ', 'no address', '2001:DB9::1', '2001:db9:0::1']
    return spellings[at % spellings.length] ?? ''
  })
  const batches = await Array.fromAsync(chunksOf(groups(inputs, 333), batchLimits))
  expect(batches.flatMap((batch) => batch.inputs)).toEqual(inputs)
  expect(batches.map(({ addresses }) => addresses.size)).toEqual([250, 154])
  expect([...(batches[0]?.addresses ?? [])].slice(0, 3)).toEqual(['1.1.0.0', '8.8.8.8', '2001:db9::1'])
})

test.each([
  ['of one address', '8.8.8.8', 5000],
  ['of long texts', 'x'.repeat(64 * 1024), 4],
])('a list %s is cut all the same', async (_what, input, most) => {
  const batches = await Array.fromAsync(
    chunksOf(groups(Array.from({ length: 12_000 }, () => input).slice(0, most * 2.4), 1000), batchLimits),
  )
  expect(batches.map((batch) => batch.inputs.length)).toEqual([most, most, Math.floor(most * 0.4)].filter(Boolean))
})
