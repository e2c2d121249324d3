import { expect, jest, test } from '@jest/globals'
import { RefusalPace } from './refusal-pace.ts'

/** Refusals of a client, of which `left` have left. */
function refusals(pace: RefusalPace, client: string, count: number, isGone = false): { left: number } {
  const counted = { left: 0 }
  for (let nth = 0; nth < count; nth += 1) {
    const turn = pace.turn(client, () => isGone)
    if (turn === undefined) counted.left += 1
    else void turn.then(() => (counted.left += 1))
  }
  return counted
}

test('a client that is refused now and then is refused at once', () => {
  jest.useFakeTimers()
  const pace = new RefusalPace()
  for (let second = 0; second < 10; second += 1) {
    expect(refusals(pace, 'a', 10).left).toBe(10)
    jest.advanceTimersByTime(1000)
  }
  expect(jest.getTimerCount()).toBe(0)
})

test('a client that does not heed refusals waits for them, others do not, and all leave', async () => {
  jest.useFakeTimers()
  const pace = new RefusalPace()
  const many = refusals(pace, 'many', 300)
  expect(many.left).toBe(100)
  expect(refusals(pace, 'other', 1).left).toBe(1)
  await jest.advanceTimersByTimeAsync(1000)
  expect(many.left).toBe(200)
  await jest.advanceTimersByTimeAsync(1000)
  expect(many.left).toBe(300)
  await jest.advanceTimersByTimeAsync(1000)
  expect(jest.getTimerCount()).toBe(0)
})

test('what waits of one client is bounded', () => {
  jest.useFakeTimers()
  expect(refusals(new RefusalPace(), 'a', 3000).left).toBe(1000)
})

test('those who have left are not waited for', async () => {
  jest.useFakeTimers()
  const pace = new RefusalPace()
  refusals(pace, 'a', 300, true)
  const last = refusals(pace, 'a', 1)
  await jest.advanceTimersByTimeAsync(200)
  expect(last.left).toBe(1)
})
