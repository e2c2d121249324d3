import { expect, test } from '@jest/globals'
import { lineBatches } from './line-batches.ts'

async function* groups(inputs: readonly string[], size: number): AsyncGenerator<readonly string[]> {
  for (let at = 0; at < inputs.length; at += size) yield inputs.slice(at, at + size)
}

test('a batch asks for up to 250 addresses, each once, in one spelling; all inputs are in it in their order', async () => {
  const inputs = Array.from({ length: 2000 }, (_, at) => {
    const spellings = [`1.1.${at >> 8}.${at & 255}`, ' 8.8.8.8 ', 'no address', '2001:DB9::1', '2001:db9:0::1']
    return spellings[at % spellings.length] ?? ''
  })
  const batches = await Array.fromAsync(lineBatches(groups(inputs, 333)))
  expect(batches.flatMap((batch) => batch.inputs)).toEqual(inputs)
  expect(batches.map(({ addresses }) => addresses.length)).toEqual([250, 154])
  expect(batches[0]?.addresses.slice(0, 3)).toEqual(['1.1.0.0', '8.8.8.8', '2001:db9::1'])
})

test.each([
  ['of one address', '8.8.8.8', 5000],
  ['of long texts', 'x'.repeat(64 * 1024), 4],
])('a list %s is cut all the same', async (_what, input, most) => {
  const batches = await Array.fromAsync(
    lineBatches(groups(Array.from({ length: 12_000 }, () => input).slice(0, most * 2.4), 1000)),
  )
  expect(batches.map((batch) => batch.inputs.length)).toEqual([most, most, Math.floor(most * 0.4)].filter(Boolean))
})
