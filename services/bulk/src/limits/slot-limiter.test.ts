import { expect, test } from '@jest/globals'
import { type Slot, SlotLimiter } from './slot-limiter.ts'

const placesOf = (max: number, sharePercent = 50): SlotLimiter =>
  new SlotLimiter({ max, sharePercent, what: 'uploads', setting: 'MAX_UPLOADS' })

test('a client has its share, others have the rest, and all have no more than there is', () => {
  const places = placesOf(4)
  const held = [places.take('a'), places.take('a'), places.take('b')]
  expect(() => places.take('a')).toThrow(expect.objectContaining({ code: 'rate_limited', retryAfterSeconds: 1 }))
  held.push(places.take('c'))
  expect(() => places.take('d')).toThrow(expect.objectContaining({ code: 'overloaded', retryAfterSeconds: 1 }))
  held[0]?.release()
  expect(places.total).toBe(3)
  expect(() => places.take('d')).not.toThrow()
})

test('a refusal says which limit it is', () => {
  const places = placesOf(2)
  places.take('a')
  expect(() => places.take('a')).toThrow('50 % (BULK_CLIENT_SHARE_PERCENT) of MAX_UPLOADS')
  places.take('b')
  expect(() => places.take('c')).toThrow('as may be (MAX_UPLOADS)')
})

test('what is released twice is free once', () => {
  const places = placesOf(4)
  const first = places.take('a') satisfies Slot
  places.take('a')
  first.release()
  first.release()
  expect(places.total).toBe(1)
})

test('weights count, and who asks for more than its share has all of it', () => {
  const places = placesOf(10)
  expect(places.share).toBe(5)
  places.take('a', 17)
  expect(places.total).toBe(5)
  expect(places.tryTake('a')).toBe('client_full')
})

test('a share is never nothing', () => {
  expect(typeof placesOf(3, 1).tryTake('a')).toBe('object')
})
