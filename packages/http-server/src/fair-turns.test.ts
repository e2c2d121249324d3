import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { FairTurns } from './fair-turns.ts'

/** As long as a request takes that is expensive to begin. */
function work(): void {
  const endMs = performance.now() + 0.5
  while (performance.now() < endMs);
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await nextTurn()
}

test('what fits in a turn begins at once, in its order', () => {
  const turns = new FairTurns()
  const begun: number[] = []
  for (const number of [1, 2, 3]) turns.take('a', () => begun.push(number))
  expect(begun).toEqual([1, 2, 3])
})

test('a client that sends a hundred at once delays others by a few of its own, and all of them begin', async () => {
  const turns = new FairTurns()
  const begun: string[] = []
  const take = (client: string): void => {
    turns.take(client, () => {
      work()
      begun.push(client)
    })
  }
  for (let count = 0; count < 100; count += 1) take('many')
  take('one')
  take('two')
  expect(begun.length).toBeLessThan(100)
  await until(() => begun.length === 102)
  expect(begun.indexOf('one')).toBeLessThan(20)
  expect(begun.indexOf('two')).toBeLessThan(20)
})

test('between two turns the event loop does other things', async () => {
  const turns = new FairTurns()
  let begun = 0
  for (let count = 0; count < 20; count += 1) {
    turns.take('a', () => {
      work()
      begun += 1
    })
  }
  const atNextTurn = await nextTurn(undefined).then(() => begun)
  expect(atNextTurn).toBeLessThan(20)
  await until(() => begun === 20)
})
