import { expect, test } from '@jest/globals'
import { spread } from './spread.ts'

function work(): void {
  const endMs = performance.now() + 1
  while (performance.now() < endMs) continue
}

test('short work is done at once', () => {
  const done: number[] = []
  spread([1, 2, 3].values(), (item) => done.push(item))
  expect(done).toEqual([1, 2, 3])
})

test('long work leaves turns of the event loop to others, and all of it is done, in its order', async () => {
  const items = Array.from({ length: 50 }, (_, index) => index)
  const done: number[] = []
  const { promise: all, resolve } = Promise.withResolvers<void>()
  spread(
    items.values(),
    (item) => {
      work()
      done.push(item)
    },
    resolve,
  )
  expect(done.length).toBeLessThanOrEqual(3)
  await new Promise((next) => setImmediate(next))
  expect(done.length).toBeLessThan(50)
  await all
  expect(done).toEqual(items)
})
