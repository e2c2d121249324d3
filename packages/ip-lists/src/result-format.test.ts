import { expect, test } from '@jest/globals'
import { answerLine, errorLine } from './result-line.ts'
import { rowWriter } from './result-format.ts'

const fields = ['city', 'asn', 'asn.name', 'anycast']
const csvRows = (lines: string, options: Parameters<typeof rowWriter>[1] = { fields }): string =>
  String(rowWriter('csv', options).rows(Buffer.from(lines), true))
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
  expect(csvRows(answerLine('x', record, undefined))).toBe(`${row}\n`)
})

test('an error is shown by its title, in its row', () => {
  expect(csvRows(errorLine('a,b', error) + answerLine('y', { city: 'C' }, ['city']))).toBe(
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
  ['AS15169 Google', 'AS15169 Google'],
])('for a spreadsheet the cell %j is %j, in the input and in a record', (cell, written) => {
  const lines = answerLine(cell, { city: cell }, undefined)
  expect(csvRows(lines, { fields: ['city'], forSpreadsheets: true })).toBe(`${written},${written},\n`)
})
