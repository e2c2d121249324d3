import { afterEach, expect, test } from '@jest/globals'
import { connect } from '@ipfleet/redis/connection.ts'
import { until } from '@ipfleet/testing/until.ts'
import { addresses } from '@ipfleet/testing/public-addresses.ts'
import { BulkHarness } from './bulk-harness.ts'

let harness: BulkHarness | undefined

afterEach(() => harness?.stop())

/** Most memory of the server; 0: no limit. */
async function setMaxMemory(url: string, value: string): Promise<void> {
  const client = connect({ url }, 'test', { enableOfflineQueue: true })
  await client.config('SET', 'maxmemory', value)
  client.disconnect()
}

test('with Redis full, jobs under way pause and new ones are refused; with room again, all is done', async () => {
  harness = await BulkHarness.start({ lookupEnv: { SHARED_CACHE_TTL_SECONDS: '1' } })
  const earlier = await harness.post('8.8.8.8\n1.1.1.1\n')
  await harness.waitFor(earlier, 'completed')
  const lines = addresses(20_000)
  const gate = harness.fake.hold({ paths: ['/batch'] })
  const id = await harness.post(lines.join('\n'))
  await until(() => gate.waiting > 0)
  await setMaxMemory(harness.redis.url, '1mb')
  gate.release()
  const refused = await until(async () => {
    const response = await fetch(`${harness?.url}/jobs`, { method: 'POST', body: '8.8.8.8' })
    return response.status === 503 ? response : undefined
  })
  expect(refused.headers.get('retry-after')).not.toBeNull()
  expect(await refused.json()).toMatchObject({ status: 503, error: { title: 'Store full' } })
  await until(async () => {
    const health = await fetch(`${harness?.url}/health`)
    return (await health.text()).includes('storage')
  })
  expect((await harness.results(earlier)).trim().split('\n')).toHaveLength(2)
  await setMaxMemory(harness.redis.url, '0')
  await harness.waitFor(id, 'completed', 120_000)
  const inputs = (await harness.results(id)).trimEnd().split('\n')
  expect(inputs.map((line) => (JSON.parse(line) as { ip: string }).ip)).toEqual(lines)
})

test('over BULK_MAX_STORED_BYTES new jobs are refused until older ones are removed', async () => {
  harness = await BulkHarness.start({ bulkEnv: { BULK_MAX_STORED_BYTES: '10000' } })
  const first = await harness.post(addresses(1000).join('\n'))
  await harness.waitFor(first, 'completed')
  const post = async () => (await fetch(`${harness?.url}/jobs`, { method: 'POST', body: '8.8.8.8' })).status
  await until(async () => (await storedBytes()) > 10_000)
  expect(await post()).toBe(503)
  await fetch(`${harness.url}/jobs/${first}`, { method: 'DELETE' })
  await until(async () => (await storedBytes()) === 0)
  expect(await post()).toBe(202)
})

/** What the service says; read from Redis once a second at most. */
async function storedBytes(): Promise<number> {
  const metrics = await (await fetch(`${harness?.url}/metrics`)).text()
  return Number(/^ipfleet_bulk_stored_bytes (\d+)/m.exec(metrics)?.[1])
}
