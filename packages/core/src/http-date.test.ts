import { expect, test } from '@jest/globals'
import { httpDateMs } from './http-date.ts'

const now = Date.UTC(2026, 0, 5)
const read = (text: string): string => {
  const ms = httpDateMs(text, now)
  return Number.isNaN(ms) ? 'none' : new Date(ms).toISOString()
}

test.each([
  ['Sun, 06 Nov 1994 08:49:37 GMT', '1994-11-06T08:49:37.000Z'],
  ['Sun, 6 Nov 1994 08:49:37 GMT', '1994-11-06T08:49:37.000Z'],
  ['Sunday, 06-Nov-94 08:49:37 GMT', '1994-11-06T08:49:37.000Z'],
  ['Sun Nov  6 08:49:37 1994', '1994-11-06T08:49:37.000Z'],
  ['Wed Nov 16 08:49:37 1994', '1994-11-16T08:49:37.000Z'],
  ['Monday, 05-Jan-76 00:00:00 GMT', '2076-01-05T00:00:00.000Z'],
  ['Wednesday, 05-Jan-77 00:00:00 GMT', '1977-01-05T00:00:00.000Z'],
  ['Thu, 29 Feb 2024 23:59:60 GMT', '2024-03-01T00:00:00.000Z'],
  ['Thu, 01 Jan 1970 00:00:00 GMT', '1970-01-01T00:00:00.000Z'],
])('%s', (text, moment) => {
  expect(read(text)).toBe(moment)
})

test.each([
  '',
  '0',
  '-1',
  'now',
  'Mon, 5',
  '2026-01-05T12:00:00Z',
  'Sun, 06 Nov 1994 08:49:37',
  'Sun, 06 Nov 1994 08:49:37 +0100',
  'Sun, 06 Nov 1994 08:49:37 GMT+1',
  'Sun, 06 November 1994 08:49:37 GMT',
  'Sun, 00 Nov 1994 08:49:37 GMT',
  'Sun, 31 Nov 1994 08:49:37 GMT',
  'Sun, 06 Nov 1994 24:49:37 GMT',
  'Sun, 06 Nov 1994 08:60:37 GMT',
  'Sun Nov  6 08:49:37 1994 GMT',
  'Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT',
])('%j is no date', (text) => {
  expect(read(text)).toBe('none')
})
