import { once } from 'node:events'
import { expect, test } from '@jest/globals'
import { startFaultyTcpProxy } from '@ipfleet/testing/faulty-tcp-proxy.ts'
import { startTestSentinels } from '@ipfleet/testing/test-sentinels.ts'
import { until } from '@ipfleet/testing/until.ts'
import { blockingConnection } from '../src/connection.ts'
import { RedisLink } from '../src/redis-link.ts'
import { connectAdmin } from './admin.ts'

test('a master that is lost together with the Sentinel that is asked first is left for the new one', async () => {
  await using opened = new AsyncDisposableStack()
  const sentinels = opened.adopt(await startTestSentinels(), (started) => started.stop())
  await sentinels.waitForReplicas(1)
  const { hostname, port } = new URL(sentinels.url)
  const proxy = opened.adopt(await startFaultyTcpProxy({ targetPort: Number(port) }), (started) => started.close())
  const url = sentinels.url.replace('//', `//${hostname}:${proxy.port},`)
  const link = opened.adopt(new RedisLink({ url, name: 'test', timeoutMs: 15_000 }), (made) => made.close())
  const worker = opened.adopt(blockingConnection({ url }, 'worker'), (client) => client.disconnect())
  await once(link, 'up')
  const popped = worker.blpop('list', 0)
  const master = await sentinels.master()
  const before = link.master
  const admin = await connectAdmin(master.url)
  await until(async () => (await admin.info('clients')).includes('blocked_clients:1'))
  admin.disconnect()

  await proxy.mode('blackhole')
  await master.kill()
  await until(async () => (await sentinels.master()) !== master, 60_000)

  await until(() => link.up, 60_000)
  expect([undefined, before]).not.toContain(link.master)
  await until(() => link.run((client) => client.lpush('list', 'one')).catch(() => false), 60_000)
  expect(await popped).toEqual(['list', 'one'])
}, 120_000)
