import { describe, expect, test } from '@jest/globals'
import { Entry } from './entry.ts'

const answer = { status: 200, contentType: 'application/json', body: Buffer.from('{}') }
const entry = new Entry(answer, 1000, 300)

describe('an entry', () => {
  test.each([
    [1000, 'fresh'],
    [1299, 'fresh'],
    [1300, 'stale'],
    [1349, 'stale'],
    [1350, 'dead'],
    [9999, 'dead'],
  ])('stored at 1000, fresh for 300 and usable for 50 more, is at %d %s', (nowMs, freshness) => {
    expect(entry.freshness(nowMs, 50)).toBe(freshness)
  })

  test('knows its age, which is never negative, and the freshness it has left', () => {
    expect(entry.ageMs(1100)).toBe(100)
    expect(entry.ageMs(900)).toBe(0)
    expect(entry.freshLeftMs(1100)).toBe(200)
    expect(entry.freshLeftMs(1400)).toBe(-100)
  })
})

test('an entry keeps nothing alive but its body', () => {
  const read = Buffer.alloc(65_536, 'x')
  const { body } = new Entry({ status: 200, contentType: 'text/plain', body: read.subarray(0, 10) }, 0, 1000).answer
  expect([body.toString(), body.buffer.byteLength]).toEqual(['xxxxxxxxxx', 10])
})
