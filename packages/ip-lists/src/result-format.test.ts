import { expect, test } from '@jest/globals'
import { answerRow, errorRow, type ResultRow } from './result-line.ts'
import { rowWriter } from './result-format.ts'

const fields = ['city', 'asn', 'asn.name', 'anycast']
const csvRows = (rows: readonly ResultRow[], options: Parameters<typeof rowWriter>[1] = { fields }): string =>
  String(rowWriter('csv', options).rows(rows, true))
const error = { code: 'wrong_ip', title: 'Wrong ip', message: 'Please' }

test('columns are the input, the wanted fields, and the error', () => {
  expect(rowWriter('csv', { fields }).head).toBe('input,city,asn,asn.name,anycast,error\n')
  expect(rowWriter('csv', { fields: undefined }).head).toBe(
    'input,ip,hostname,bogon,anycast,city,region,country,loc,org,postal,timezone,error\n',
  )
})

test.each([
  ['plain text', { city: 'Köln' }, 'x,Köln,,,,'],
  ['quotes, commas and line ends', { city: 'a "b",\nc' }, 'x,"a ""b"",\nc",,,,'],
  ['what is nested', { asn: { name: 'A', n: 1 } }, 'x,,"{""name"":""A"",""n"":1}",,,'],
  ['a list', { asn: ['a', 'b'] }, 'x,,"[""a"",""b""]",,,'],
  ['truth', { anycast: true, city: false }, 'x,false,,,true,'],
  ['numbers', { city: 0, 'asn.name': 1.5 }, 'x,0,,1.5,,'],
  ['null', { city: null }, 'x,,,,,'],
])('%s', (_what, record, row) => {
  expect(csvRows([answerRow('x', record, undefined)])).toBe(`${row}\n`)
})

test('an error is shown by its title, in its row', () => {
  expect(csvRows([errorRow('a,b', error), answerRow('y', { city: 'C' }, ['city'])])).toBe(
    '"a,b",,,,,Wrong ip\ny,C,,,,\n',
  )
})

test.each([
  ['=1+1', "'=1+1"],
  ['+1', "'+1"],
  ['-33.86,151.2', `"'-33.86,151.2"`],
  ['@a', "'@a"],
  ['\tx', `"'\tx"`],
  ['a;=1+1', '"a;=1+1"'],
  ['＝1+1', "'＝1+1"],
  ['AS15169 Google', 'AS15169 Google'],
])('for a spreadsheet the cell %j is %j, in the input and in a record', (cell, written) => {
  const rows = [answerRow(cell, { city: cell }, undefined)]
  expect(csvRows(rows, { fields: ['city'], forSpreadsheets: true })).toBe(`${written},${written},\n`)
})

test.each([
  ['csv', {}, 'a,"b\rc","d\ne","f""g","h,i",j;k,l\tm,,0123,-1\n'],
  ['tsv', {}, 'a\t"b\rc"\t"d\ne"\t"f""g"\th,i\tj;k\t"l\tm"\t\t0123\t-1\n'],
  ['csv', { forSpreadsheets: true }, `a,"b\rc","d\ne","f""g","h,i","j;k","l\tm",,0123,'-1\n`],
  ['csv', { forExcel: true }, `"a","b\rc","d\ne","f""g","h,i","j;k","l\tm",,"=""0123""","'-1"\r\n`],
] as const)('%s with %j quotes what has to be', (format, options, line) => {
  const values = ['a', 'b\rc', 'd\ne', 'f"g', 'h,i', 'j;k', 'l\tm', undefined, '0123', -1]
  expect(rowWriter(format, { fields, ...options }).rows([values], true)).toBe(line)
})
