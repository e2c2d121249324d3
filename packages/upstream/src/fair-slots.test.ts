import { setImmediate as nextTurn } from 'node:timers/promises'
import { beforeEach, expect, test } from '@jest/globals'
import { FairSlots } from './fair-slots.ts'

let slots: FairSlots
let begun: string[]
let ends: (() => void)[]
beforeEach(() => {
  slots = new FairSlots({ slots: 2, maxQueued: 8 })
  begun = []
  ends = []
})

/** A call that lasts until a test ends it. */
function call(client: string, name = client): Promise<string | undefined> {
  return slots.run(client, () => {
    begun.push(name)
    const { promise, resolve } = Promise.withResolvers<string>()
    ends.push(() => resolve(name))
    return promise
  })
}

async function endFirst(): Promise<void> {
  ends.shift()?.()
  await nextTurn()
}

test('calls begin at once while there are slots', async () => {
  const calls = [call('a', 'a1'), call('a', 'a2')]
  expect(begun).toEqual(['a1', 'a2'])
  for (const end of ends) end()
  expect(await Promise.all(calls)).toEqual(['a1', 'a2'])
})

test('the clients that wait take turns, each in its order', async () => {
  for (const name of ['a1', 'a2', 'a3', 'a4', 'a5']) void call('a', name)
  void call('b', 'b1')
  void call('b', 'b2')
  for (let count = 0; count < 5; count += 1) await endFirst()
  expect(begun).toEqual(['a1', 'a2', 'a3', 'b1', 'a4', 'b2', 'a5'])
})

test('one client waits in half of the places that the others leave free; more of it is refused at once', async () => {
  const many = Array.from({ length: 20 }, () => call('a'))
  expect(await Promise.all(many.slice(6))).toEqual(Array(14).fill(undefined))
  const other = call('b')
  while (ends.length > 0) await endFirst()
  expect(await other).toBe('b')
  expect(begun.filter((name) => name === 'a')).toHaveLength(6)
})

test('one client holds no more slots than it may, however many are free', async () => {
  slots = new FairSlots({ slots: 3, slotsPerClient: 2, maxQueued: 8 })
  for (const name of ['a1', 'a2', 'a3', 'a4']) void call('a', name)
  for (const name of ['b1', 'b2']) void call('b', name)
  expect(begun).toEqual(['a1', 'a2', 'b1'])
  await endFirst()
  expect(begun.at(-1)).toBe('a3')
  await endFirst()
  expect(begun.at(-1)).toBe('b2')
  await endFirst()
  expect(begun.at(-1)).toBe('a4')
})

test('a call that fails gives its slot back', async () => {
  const failing = Array.from({ length: 4 }, () => slots.run('a', () => Promise.reject(new Error('no'))))
  expect((await Promise.allSettled(failing)).map(({ status }) => status)).toEqual(Array(4).fill('rejected'))
  void call('a', 'after')
  expect(begun).toEqual(['after'])
})
