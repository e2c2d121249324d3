import { expect, test } from '@jest/globals'
import { type Slot, SlotLimiter } from './slot-limiter.ts'

const limiterOf = (max: number, sharePercent = 50): SlotLimiter =>
  new SlotLimiter({ max, sharePercent, what: 'uploads', setting: 'MAX_UPLOADS' })

test('a client has its share, others have the rest, and all have no more than there is', () => {
  const slots = limiterOf(4)
  const held = [slots.take('a'), slots.take('a'), slots.take('b')]
  expect(() => slots.take('a')).toThrow(expect.objectContaining({ code: 'client_share', retryAfterSeconds: 1 }))
  held.push(slots.take('c'))
  expect(() => slots.take('d')).toThrow(expect.objectContaining({ code: 'overloaded', retryAfterSeconds: 1 }))
  held[0]?.release()
  expect(slots.total).toBe(3)
  expect(() => slots.take('d')).not.toThrow()
})

test('a refusal says which limit it is', () => {
  const slots = limiterOf(2)
  slots.take('a')
  expect(() => slots.take('a')).toThrow('50 % (BULK_CLIENT_SHARE_PERCENT) of MAX_UPLOADS')
  slots.take('b')
  expect(() => slots.take('c')).toThrow('as may be (MAX_UPLOADS)')
})

test('what is released twice is free once', () => {
  const slots = limiterOf(4)
  const first = slots.take('a') satisfies Slot
  slots.take('a')
  first.release()
  first.release()
  expect(slots.total).toBe(1)
})

test('weights count, and who asks for more than its share has all of it', () => {
  const slots = limiterOf(10)
  expect(slots.share).toBe(5)
  slots.take('a', 17)
  expect(slots.total).toBe(5)
  expect(slots.tryTake('a')).toBe('client_full')
})

test('a share is never nothing', () => {
  expect(typeof limiterOf(3, 1).tryTake('a')).toBe('object')
})
