import { expect, test } from '@jest/globals'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { currentBudget, RequestBudget, withBudget, withoutBudget } from './request-budget.ts'

test('waits one after another add up, those at once are one, and what is between them costs nothing', async () => {
  const clock = manualClock()
  const budget = new RequestBudget(100, clock)
  const takes = (ms: number) => async () => clock.advance(ms)
  await budget.spend(takes(20))
  clock.advance(1000)
  await Promise.all([budget.spend(takes(10)), budget.spend(takes(20))])
  expect(budget.leftMs).toBe(50)
  const failing = budget.spend(async () => {
    clock.advance(30)
    throw new Error('away')
  })
  await expect(failing).rejects.toThrow('away')
  expect(budget.leftMs).toBe(20)
  await budget.spend(takes(500))
  expect(budget.leftMs).toBe(0)
  budget.end()
  await budget.spend(takes(500))
  expect(budget.leftMs).toBe(Infinity)
})

test('it goes with what the request starts, and not with what it does not wait for', async () => {
  const budget = new RequestBudget(100)
  const seen = withBudget(budget, async () => {
    await Promise.resolve()
    return [currentBudget(), await withoutBudget(async () => currentBudget())]
  })
  expect(await seen).toEqual([budget, undefined])
  expect(currentBudget()).toBeUndefined()
})
