import { once } from 'node:events'
import { expect, test } from '@jest/globals'
import { chooseRedisProvider } from '@ipfleet/testing/redis-provider-choice.ts'
import { freePort } from '@ipfleet/testing/service-process-port.ts'
import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import { blockingConnection } from '../src/connection.ts'
import { RedisLink } from '../src/redis-link.ts'
import { connectAdmin } from './admin.ts'

test.each([
  ['knows none, being the only one', []],
  ['is to tell none', ['--cluster-preferred-endpoint-type', 'unknown-endpoint']],
])('a node of a Cluster that tells no host of itself is where it was asked: it %s', async (_why, settings) => {
  await using opened = new AsyncDisposableStack()
  // A container would not publish the second port.
  const { provider } = await chooseRedisProvider('local')
  const args = ['--cluster-enabled', 'yes', '--cluster-port', String(await freePort()), ...settings]
  const node = opened.adopt(await startTestRedis({ provider, args }), (started) => started.stop())
  const admin = opened.adopt(await connectAdmin(node.url), (client) => client.disconnect())
  await admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  await until(async () => String(await admin.call('CLUSTER', 'INFO')).includes('cluster_state:ok'))
  const url = node.url.replace('redis:', 'redis+cluster:')
  const link = new RedisLink({ url, name: 'test', timeoutMs: 15_000, needs: ['GET', 'SET'] })
  opened.defer(() => link.close())
  const worker = opened.adopt(blockingConnection({ url }, 'worker'), (client) => client.disconnect())
  // As BullMQ does.
  const blocking = opened.adopt(worker.duplicate(), (client) => client.disconnect())

  await once(link, 'up')
  const popped = blocking.blpop('list', 0)
  await worker.lpush('list', 'one')
  expect(await popped).toEqual(['list', 'one'])
})

test('a node of a Cluster that has an IPv6 address is found by a NAT map that writes it in brackets', async () => {
  const { provider } = await chooseRedisProvider('local')
  const busPort = String(await freePort())
  const args = ['--cluster-enabled', 'yes', '--cluster-port', busPort, '--cluster-announce-ip', 'fd00::5']
  await using opened = new AsyncDisposableStack()
  const node = opened.adopt(await startTestRedis({ provider, args }), (started) => started.stop())
  const admin = opened.adopt(await connectAdmin(node.url), (client) => client.disconnect())
  await admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  const url = node.url.replace('redis:', 'redis+cluster:')
  const natMap = `[fd00::5]:${node.port}=127.0.0.1:${node.port}`
  const link = new RedisLink({ url, natMap, name: 'test', timeoutMs: 15_000, needs: ['GET', 'SET'] })
  opened.defer(() => link.close())
  await once(link, 'up')
})
