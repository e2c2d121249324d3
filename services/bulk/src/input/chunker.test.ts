import { expect, test } from '@jest/globals'
import { type Chunk, chunksOf } from './chunker.ts'

async function chunked(inputs: readonly string[], groupSize = 1000): Promise<Chunk[]> {
  async function* groups(): AsyncGenerator<readonly string[]> {
    for (let start = 0; start < inputs.length; start += groupSize) yield inputs.slice(start, start + groupSize)
  }
  return await Array.fromAsync(chunksOf(groups()))
}

function addresses(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `10.0.${index >> 8}.${index & 255}`)
}

test('a chunk holds no more than 1,000 distinct addresses', async () => {
  const chunks = await chunked(addresses(2500))
  expect(chunks.map(({ index, firstLine, inputs }) => [index, firstLine, inputs.length])).toEqual([
    [0, 0, 1000],
    [1, 1000, 1000],
    [2, 2000, 500],
  ])
})

test('what comes again and what is no address is not counted, up to 4,000 lines', async () => {
  const inputs = addresses(10_000).map((_, index) => (index % 2 === 0 ? ` 10.0.0.${index % 200} ` : `foo ${index}`))
  expect((await chunked(inputs)).map(({ inputs: { length } }) => length)).toEqual([4000, 4000, 2000])
})

test('a chunk holds no more than 256 Ki characters', async () => {
  const chunks = await chunked(Array.from({ length: 9 }, () => 'x'.repeat(65_536)))
  expect(chunks.map(({ inputs }) => inputs.length)).toEqual([4, 4, 1])
})

test('all inputs are there once, in order, and cut the same however they are grouped', async () => {
  const inputs = addresses(6000).map((address, index) => (index % 7 === 0 ? '' : address))
  const chunks = await chunked(inputs, 6000)
  expect(chunks.flatMap((chunk) => chunk.inputs)).toEqual(inputs)
  for (const size of [1, 13, 999]) expect(await chunked(inputs, size)).toEqual(chunks)
})

test('no inputs make no chunk', async () => {
  expect(await chunked([])).toEqual([])
})
