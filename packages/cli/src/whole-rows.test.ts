import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type TemporaryFolder, temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import type { Format } from '@ipfleet/ip-lists/result-format.ts'
import { countLines, wholeRows } from './whole-rows.ts'

let folder: TemporaryFolder
beforeAll(async () => {
  folder = await temporaryFolder('whole-rows')
})
afterAll(() => folder.remove())

const cases: readonly (readonly [what: string, format: Format, whole: string, torn: string, lines: number])[] = [
  ['nothing', 'ndjson', '', '', 0],
  ['a torn line alone', 'ndjson', '', '{"inp', 0],
  ['whole lines', 'ndjson', '{}\n{}\n', '', 2],
  ['a torn line behind whole ones', 'ndjson', '{}\n{"a":"ü"}\n', '{"a":"\u00fc', 2],
  ['a CSV with quoted line ends and quotes', 'csv', 'input,error\n"a\nb",\n"say ""x""\n",y\n', '', 3],
  ['a CSV torn within quotes', 'csv', 'input,error\nx,\n', '"a\nb\n', 2],
  ['an array with its end', 'json', '[\n{},\n{}', '\n]\n', 3],
  ['an element without its comma', 'json', '[\n{},\n', '{}', 2],
]

test.each(cases)('%s', async (_what, format, whole, torn, lines) => {
  const path = join(folder.path, 'file')
  await writeFile(path, whole + torn)
  expect(await wholeRows(path, format)).toEqual({ lines, bytes: Buffer.byteLength(whole) })
})

test('files of any length are counted, also where a quoted text goes over the border of two blocks', async () => {
  const path = join(folder.path, 'long')
  const row = `"${'x'.repeat(700)}\n${'y'.repeat(700)}",\n`
  await writeFile(path, row.repeat(2000))
  expect(await wholeRows(path, 'csv')).toEqual({ lines: 2000, bytes: row.length * 2000 })
  expect(await wholeRows(path, 'ndjson')).toEqual({ lines: 4000, bytes: row.length * 2000 })
})

test('lines are counted by their ends', () => {
  expect(['', 'a', 'a\n', '\n\n'].map((text) => countLines(Buffer.from(text)))).toEqual([0, 0, 1, 2])
})
