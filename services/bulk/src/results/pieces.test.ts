import { expect, test } from '@jest/globals'
import { cutTo, withoutLines } from './extent.ts'

async function* pieces(...texts: string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text)
}

async function joined(from: AsyncIterable<Buffer>): Promise<string> {
  const all: string[] = []
  for await (const piece of from) all.push(piece.toString())
  return all.join('|')
}

test.each([
  { lines: 0, rest: 'a\nb\n|c\nd\n' },
  { lines: 1, rest: 'b\n|c\nd\n' },
  { lines: 2, rest: 'c\nd\n' },
  { lines: 3, rest: 'd\n' },
  { lines: 4, rest: '' },
  { lines: 9, rest: '' },
])('without $lines lines', async ({ lines, rest }) => {
  expect(await joined(withoutLines(pieces('a\nb\n', 'c\nd\n'), lines))).toBe(rest)
})

test.each([
  { skip: 0, bytes: 6, part: 'abc|def' },
  { skip: 2, bytes: 2, part: 'c|d' },
  { skip: 3, bytes: 3, part: 'def' },
  { skip: 1, bytes: 1, part: 'b' },
])('$bytes bytes after $skip', async ({ skip, bytes, part }) => {
  expect(await joined(cutTo(pieces('abc', 'def', 'never read'), skip, bytes))).toBe(part)
})
