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

describe('an entry that is kept', () => {
  test.each([
    ['text', Buffer.from('São Paulo 😀')],
    ['text with a byte order mark', Buffer.from('\ufeff{}')],
    ['nothing', Buffer.alloc(0)],
    ['bytes that are no text', Buffer.from([0xff, 0, 0xc3])],
    ['a long text', Buffer.alloc(40_000, 'é')],
  ])('has the same answer, and keeps no more alive than that: %s', (_what, bytes) => {
    const read = Buffer.concat([bytes, Buffer.alloc(65_536)])
    const kept = new Entry({ status: 404, contentType: 'text/plain', body: read.subarray(0, bytes.length) }, 0, 1000)
    kept.settle()
    expect(kept.answer).toEqual({ status: 404, contentType: 'text/plain', body: bytes })
    expect([kept.bodyBytes, kept.latin1]).toEqual([bytes.length, bytes.toString('latin1')])
    expect(kept.answer.body.buffer).not.toBe(read.buffer)
  })
})
