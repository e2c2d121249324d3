import { expect, test } from '@jest/globals'
import { rowsOfList } from './list-rows.ts'

const options = { column: undefined, extract: undefined, networks: 'expand' } as const

async function* piecesOf(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text)
}

test('of many networks only some are held at a time', async () => {
  const { rows } = await rowsOfList(piecesOf('9.0.0.0/20\n'.repeat(50)), 'lines', options)
  const lengths: number[] = []
  for await (const group of rows) lengths.push(group.length)
  expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(50 * 4096)
  expect(Math.max(...lengths)).toBeLessThan(5000 + 4096)
})
