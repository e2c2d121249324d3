import { afterEach, expect, test } from '@jest/globals'
import { setTimeout as sleep } from 'node:timers/promises'
import { addresses } from '@ipfleet/testing/public-addresses.ts'
import { BulkHarness, keys } from './bulk-harness.ts'

let harness: BulkHarness | undefined

afterEach(() => harness?.stop())

test('distinct addresses are asked for once, in batches, and every line has its result', async () => {
  harness = await BulkHarness.start({ replicas: 2 })
  const distinct = addresses(1500)
  const id = await harness.post([...distinct, ...distinct, 'x', '::ffff:20.0.0.9'].join('\n'))
  const job = await harness.waitFor(id, 'completed')
  expect(job).toMatchObject({ lines: { total: 3002, done: 3002, answered: 3001, errors: 1 }, errors: { wrong_ip: 1 } })
  expect(harness.askedUpstream().toSorted()).toEqual(distinct.toSorted())
})

test('BULK_MAX_RPS holds over all processes', async () => {
  harness = await BulkHarness.start({ services: 2, bulkEnv: { BULK_MAX_RPS: '500' } })
  const startedMs = performance.now()
  const id = await harness.post(addresses(2500).join('\n'))
  await harness.waitFor(id, 'completed')
  // 500 at once, the other 2000 at 500 a second.
  expect(performance.now() - startedMs).toBeGreaterThan(3800)
})

test('LIVE_RESERVE_PERCENT of the quota is left to live look-ups; the job goes on when there is more', async () => {
  const quota = { monthlyQuota: 1000 }
  harness = await BulkHarness.start({
    fake: { keys: Object.fromEntries(keys.map((key) => [key, quota])) },
    lookupEnv: { QUOTA_POLL_SECONDS: '1' },
    bulkEnv: { LIVE_RESERVE_PERCENT: '20' },
  })
  const { fake, replicas } = harness
  await fake.waitForCalls(2, ({ path }) => path.startsWith('/me'))
  const id = await harness.post(addresses(3000).join('\n'))
  await harness.services[0]?.waitForLine(({ msg }) => msg === 'paused')
  // Nothing announces that nothing happens.
  await sleep(1500)
  const asked = harness.askedUpstream().length
  expect(asked).toBeLessThanOrEqual(1600)
  expect((await harness.job(id)).state).toBe('running')

  const live = await fetch(`${replicas[0]?.url}/99.1.2.3`)
  expect(live.status).toBe(200)
  for (const key of keys) fake.resetQuota(key)
})

test('nothing is asked while every key is benched, and all is done when they are back', async () => {
  harness = await BulkHarness.start({ lookupEnv: { COOLDOWN_SECONDS: '3' } })
  const heal = harness.fake.behave({ kind: '429-storm' })
  const id = await harness.post(addresses(2000).join('\n'))
  await harness.services[0]?.waitForLine(({ msg }) => msg === 'paused')
  heal()
  expect(await harness.waitFor(id, 'completed')).toMatchObject({ lines: { answered: 2000 } })
  const batches = harness.fake.calls.filter(({ items }) => items !== undefined)
  const first = batches.findIndex(({ status }) => status === 200)
  const answered = batches[first]
  const refused = batches.slice(0, first).findLast(({ token, status }) => token === answered?.token && status === 429)
  // The clock of both is upstream's: the bench begins after the refusal came there.
  expect((answered?.atMs ?? 0) - (refused?.atMs ?? 0)).toBeGreaterThan(1500)
  expect(refused).toBeDefined()
})
