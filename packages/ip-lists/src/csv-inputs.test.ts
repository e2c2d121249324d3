import { expect, test } from '@jest/globals'
import { inputsOf } from './input-bodies.fixture.ts'
import type { CsvForm } from './csv-inputs.ts'

function csv(column?: string | number, header?: 'present' | 'absent'): CsvForm {
  return { kind: 'csv', column, header }
}

test.each([
  ['the column ip', 'host,IP\n8.8.8.8,1.1.1.1\n9.9.9.9,2.2.2.2', ['1.1.1.1', '2.2.2.2']],
  ['the only column, a bad first address too', 'address\nfoo\n1.1.1.1', ['foo', '1.1.1.1']],
  ['the only column without a header', '1.1.1.1\nfoo\n', ['1.1.1.1', 'foo']],
  ['the first column with an address', 'n,source,to\n1,-,foo\n2,1.1.1.1,2.2.2.2', ['-', '1.1.1.1']],
  ['the first column with an address, without a header', '1,1.1.1.1\n2,2.2.2.2', ['1.1.1.1', '2.2.2.2']],
  ['a column parted by tabs', 'n\tip\n1\t1.1.1.1', ['1.1.1.1']],
  ['a column parted by semicolons', 'n;ip;note\n1;1.1.1.1;a,b', ['1.1.1.1']],
])('no column asked for: %s', async (_which, body, inputs) => {
  expect(await inputsOf(body, csv())).toEqual(inputs)
})

test('a column is chosen by name or by number', async () => {
  const body = 'from,to\n1.1.1.1,2.2.2.2\n'
  expect(await inputsOf(body, csv('to'))).toEqual(['2.2.2.2'])
  expect(await inputsOf(body, csv('TO'))).toEqual(['2.2.2.2'])
  expect(await inputsOf(body, csv(2))).toEqual(['2.2.2.2'])
  expect(await inputsOf('1.1.1.1,2.2.2.2\n', csv(2))).toEqual(['2.2.2.2'])
})

test('what the type says of a header row holds, whatever the row looks like', async () => {
  expect(await inputsOf('foo\n1.1.1.1', csv(undefined, 'absent'))).toEqual(['foo', '1.1.1.1'])
  expect(await inputsOf('2.2.2.2\n1.1.1.1', csv(undefined, 'present'))).toEqual(['1.1.1.1'])
})

test('an input is given as it stands: blanks stay, a missing or empty field is an input too', async () => {
  expect(await inputsOf('n,ip\n1, 1.1.1.1 \n2\n\n3,\n4,5.5.5.5,more', csv())).toEqual([
    ' 1.1.1.1 ',
    '',
    '',
    '',
    '5.5.5.5',
  ])
})

test('an unknown column is a bad request that names those that there are', async () => {
  await expect(inputsOf('from,to\n1.1.1.1,2.2.2.2', csv('dest'))).rejects.toMatchObject({
    status: 400,
    message: 'There is no column "dest" in the header row; it has "from", "to"',
  })
  await expect(inputsOf('from,to\n1.1.1.1,2.2.2.2', csv(3))).rejects.toMatchObject({
    status: 400,
    message: 'There is no column 3: the first rows have 2',
  })
  await expect(inputsOf('from,to\na,b', csv())).rejects.toMatchObject({
    status: 400,
    message: 'No column holds an address in the first rows of the CSV; choose one of "from", "to" with ?column=',
  })
  await expect(inputsOf('1.1.1.1', csv('ip', 'absent'))).rejects.toMatchObject({ status: 400 })
})

test('an error does not repeat a huge header', async () => {
  const header = Array.from({ length: 5000 }, (_, index) => `${'x'.repeat(60)}${index}`)
    .join(',')
    .slice(0, 60_000)
  const error: unknown = await inputsOf(`${header}\n1.1.1.1`, csv('ip')).catch((thrown: unknown) => thrown)
  expect(String(error).length).toBeLessThan(1200)
  expect(String(error)).toMatch(/and \d+ more$/)
})

test.each([
  ['is not closed', 'ip\n1.1.1.1\n"2.2.2.2\n3.3.3.3', /A quote is not closed in row 3 of the CSV, at line \d/],
  ['is inside of a bare field', 'ip,x\n1.1.1.1,a\n2.2.2.2,5" disk', /broken quote in row 3 of the CSV, at line 3/],
  ['is followed by text', 'ip,x\n1.1.1.1,"a"b', /broken quote in row 2 of the CSV, at line 2/],
])('a quote that %s is a bad request with its row', async (_how, body, message) => {
  for (const size of [1, body.length]) {
    await expect(inputsOf(body, csv(), { size })).rejects.toMatchObject({
      status: 400,
      message: expect.stringMatching(message),
    })
  }
})

test('a row with more fields than a spreadsheet has is too large', async () => {
  await expect(inputsOf(`ip\n1.1.1.1${','.repeat(16_384)}\n`, csv())).rejects.toMatchObject({ status: 413 })
  expect(await inputsOf(`ip\n1.1.1.1${','.repeat(16_383)}\n`, csv())).toEqual(['1.1.1.1'])
})

test('rows keep their order and number over many pieces', async () => {
  const addresses = Array.from({ length: 20_000 }, (_, index) => `10.0.${index >> 8}.${index & 255}`)
  const body = `n,ip\n${addresses.map((address, index) => `${index},"${address}"`).join('\r\n')}`
  expect(await inputsOf(body, csv(), { size: 70_001 })).toEqual(addresses)
})
