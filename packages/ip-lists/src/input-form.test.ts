import { expect, test } from '@jest/globals'
import { type InputForm, inputFormOf } from './input-form.ts'

function kindOf(contentType: string | undefined, query: { format?: string; column?: string } = {}): string {
  return inputFormOf({ contentType, ...query }).kind
}

function csvFormOf(column: string | undefined, contentType = 'text/csv'): InputForm {
  return inputFormOf({ contentType, column })
}

test.each([
  [undefined, 'lines'],
  ['', 'lines'],
  ['text/plain; charset=utf-8', 'lines'],
  ['application/octet-stream', 'lines'],
  ['application/x-www-form-urlencoded', 'lines'],
  ['application/gzip', 'lines'],
  ['text/csv', 'csv'],
  ['Text/CSV; charset="UTF-8"', 'csv'],
  ['text/tab-separated-values', 'csv'],
  ['text/csv; charset=utf-16le', 'csv'],
  ['application/x-ndjson', 'ndjson'],
  ['application/ndjson', 'ndjson'],
  ['application/jsonl', 'ndjson'],
  ['application/json', 'json'],
  ['application/vnd.api+json', 'json'],
])('a body of type %s is read as %s', (contentType, kind) => {
  expect(kindOf(contentType)).toBe(kind)
})

test.each(['image/png', 'text/html', 'application/xml', 'text/csvx', 'nonsense'])(
  'a body of type %s is refused with 415, and the answer says what can be sent',
  (contentType) => {
    expect(() => kindOf(contentType)).toThrow(
      expect.objectContaining({ status: 415, message: expect.stringContaining('application/x-ndjson') }),
    )
  },
)

test('?format= wins over the type, also over one that is not known', () => {
  expect(kindOf('image/png', { format: 'NDJSON' })).toBe('ndjson')
  expect(kindOf('text/csv', { format: 'lines' })).toBe('lines')
})

test('an unknown format is a bad request', () => {
  expect(() => kindOf('text/csv', { format: 'xml' })).toThrow(expect.objectContaining({ status: 400 }))
})

test('a form is refused with how to send the file', () => {
  expect(() => kindOf('multipart/form-data; boundary=x')).toThrow(
    expect.objectContaining({ status: 415, message: expect.stringContaining('curl --data-binary @FILE') }),
  )
})

test('a column of a CSV is a name or a number from 1, and header= of the type is kept', () => {
  expect(csvFormOf('Client IP')).toEqual({ kind: 'csv', column: 'Client IP', header: undefined })
  expect(csvFormOf('3', 'text/csv; header=absent')).toEqual({ kind: 'csv', column: 3, header: 'absent' })
  expect(csvFormOf(undefined, 'text/csv; header=PRESENT')).toEqual({
    kind: 'csv',
    column: undefined,
    header: 'present',
  })
  expect(() => csvFormOf('0')).toThrow(expect.objectContaining({ status: 400 }))
})

test('the member that holds the address is ip where nothing else is said', () => {
  expect(inputFormOf({ contentType: 'application/json' })).toEqual({ kind: 'json', column: 'ip' })
  expect(inputFormOf({ contentType: 'application/jsonl', column: 'src' })).toEqual({
    kind: 'ndjson',
    column: 'src',
  })
})

test('plain lines have no columns to choose from', () => {
  expect(() => kindOf('text/plain', { column: 'ip' })).toThrow(expect.objectContaining({ status: 400 }))
})
