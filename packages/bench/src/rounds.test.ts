import { expect, test } from '@jest/globals'
import type { MeasuredServer } from './measured-server.ts'
import { oneRound } from './rounds.ts'

/** What is read of its CPU time is this process's own. */
const serverNamed = (name: string): MeasuredServer => ({
  name,
  url: '',
  port: 0,
  pid: process.pid,
  stop: async () => {},
  [Symbol.asyncDispose]: async () => {},
})

/** Uses so much time of a processor, which on a busy machine takes longer. */
function use(ms: number): void {
  const before = process.cpuUsage()
  while (process.cpuUsage(before).user < 1000 * ms);
}

test('a round loads one server after the other, and counts to each the CPU time that was used meanwhile', async () => {
  const told: string[] = []
  const results = await oneRound(['busy', 'idle'].map(serverNamed), async ({ name }) => {
    told.push(`${name} begins`)
    if (name === 'busy') use(150)
    await new Promise((resolve) => setTimeout(resolve, 20))
    told.push(`${name} is over`)
    return { amount: name.length }
  })
  expect(told).toEqual(['busy begins', 'busy is over', 'idle begins', 'idle is over'])
  expect(results).toEqual([
    { amount: 4, cpuUs: expect.any(Number) },
    { amount: 4, cpuUs: expect.any(Number) },
  ])
  expect(results[0]?.cpuUs).toBeGreaterThan(results[1]?.cpuUs ?? Infinity)
})
