import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import { blockingConnection, type Redis } from '../src/connection.ts'
import { connectAdmin } from './admin.ts'

let redis: TestRedis
let admin: Redis
let worker: Redis
beforeEach(async () => {
  redis = await startTestRedis()
  admin = await connectAdmin(redis.url)
  worker = blockingConnection({ url: redis.url }, 'worker')
})
afterEach(async () => {
  worker.disconnect()
  admin.disconnect()
  await redis.stop()
})

test('what is under way when the connection is lost is asked again, and is answered', async () => {
  const id = await worker.client('ID')
  const popped = worker.blpop('list', 0)
  await until(async () => (await admin.info('clients')).includes('blocked_clients:1'))
  await admin.client('KILL', 'ID', id)
  await admin.lpush('list', 'one')
  expect(await popped).toEqual(['list', 'one'])
})
