import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '@ipfleet/testing/until.ts'
import { addresses } from '@ipfleet/testing/public-addresses.ts'
import { BulkHarness } from './bulk-harness.ts'

let harness: BulkHarness

beforeAll(async () => {
  harness = await BulkHarness.start({ services: 2, fake: { latencyMs: 50 } })
})

afterAll(() => harness.stop())

/** Upstream answers nothing about the second half of so many addresses, so that their job is not at its end. */
function holdSecondHalf(count: number, from = 0): { release(): void } {
  const late = new Set(addresses(count, from).slice(count / 2))
  return harness.fake.hold({ when: ({ items = [] }) => items.some((item) => late.has(item)) })
}

test('a cancelled job asks upstream nothing more, whichever process is told; what is there can be read', async () => {
  const gate = holdSecondHalf(60_000)
  const id = await harness.post(addresses(60_000).join('\n'))
  await harness.fake.waitForCalls(8)
  // To the one of the two that did not take it, so that at least one of them learns it by message.
  const response = await fetch(`${harness.services[1]?.url}/jobs/${id}`, { method: 'DELETE' })
  expect(response.status).toBe(200)
  expect(await response.json()).toMatchObject({ id, state: 'cancelled' })
  gate.release()
  // Nothing announces that nothing happens.
  let before = 0
  await until(async () => {
    const isQuiet = harness.fake.stats().total === before
    before = harness.fake.stats().total
    await sleep(2000)
    return isQuiet
  })
  // A job that goes on asks about all.
  expect(new Set(harness.askedUpstream()).size).toBeLessThan(60_000)

  const job = await harness.job(id)
  expect(job.state).toBe('cancelled')
  expect(job.lines.done).toBeLessThan(60_000)
  const results = await harness.results(id)
  const inputs = results.trimEnd().split('\n').filter(Boolean)
  expect(inputs.length).toBeLessThanOrEqual(job.lines.done)
  // In the order of the list, of those chunks that were done.
  const read = inputs.map((line) => (JSON.parse(line) as { input: string }).input)
  const known = new Set(read)
  expect(read).toEqual(addresses(60_000).filter((address) => known.has(address)))

  expect((await fetch(`${harness.url}/jobs/${id}`, { method: 'DELETE' })).status).toBe(204)
  expect((await fetch(`${harness.url}/jobs/${id}`)).status).toBe(404)
})

test('a short job does not wait for the end of a long one that came before', async () => {
  const gate = holdSecondHalf(60_000, 100_000)
  const long = await harness.post(addresses(60_000, 100_000).join('\n'))
  await harness.fake.waitForCalls(4)
  const short = await harness.post(addresses(500, 300_000).join('\n'))
  await harness.waitFor(short, 'completed')
  expect((await harness.job(long)).state).toBe('running')
  gate.release()
  await fetch(`${harness.url}/jobs/${long}`, { method: 'DELETE' })
})
