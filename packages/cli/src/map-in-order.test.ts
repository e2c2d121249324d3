import { expect, test } from '@jest/globals'
import { mapInOrder } from './map-in-order.ts'

async function* count(most: number): AsyncGenerator<number> {
  for (let number = 0; number < most; number += 1) yield number
}

test('gives results in the order of the items, whichever is ready first, with so many under way', async () => {
  const gates = Array.from({ length: 6 }, () => Promise.withResolvers<undefined>())
  const begun: number[] = []
  const results = mapInOrder(count(6), 3, async (item) => {
    begun.push(item)
    await gates[item]?.promise
    return `result ${item}`
  })
  const first = results.next()
  gates[2]?.resolve(undefined)
  gates[1]?.resolve(undefined)
  await new Promise(setImmediate)
  expect(begun).toEqual([0, 1, 2])
  for (const gate of gates) gate.resolve(undefined)
  expect(await first).toEqual({ value: 'result 0', done: false })
  expect(await Array.fromAsync(results)).toEqual([1, 2, 3, 4, 5].map((item) => `result ${item}`))
})

test('a failure is met in its turn, and ends what is under way', async () => {
  const ended: number[] = []
  const work = async (item: number, signal: AbortSignal): Promise<number> => {
    if (item === 0) return item
    if (item === 1) throw new Error('broken')
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    ended.push(item)
    return item
  }
  const results = mapInOrder(count(10), 4, work)
  expect((await results.next()).value).toBe(0)
  await expect(results.next()).rejects.toThrow('broken')
  expect(ended).toEqual([2, 3, 4])
})

test('a consumer that takes no more ends what is under way', async () => {
  let isEnded = false
  const results = mapInOrder(count(10), 2, async (item, signal) => {
    if (item > 0) await new Promise((resolve) => signal.addEventListener('abort', resolve))
    isEnded = signal.aborted
    return item
  })
  for await (const result of results) {
    expect(result).toBe(0)
    break
  }
  expect(isEnded).toBe(true)
})
