import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, test } from '@jest/globals'
import { chooseRedisProvider } from '@ipfleet/testing/redis-provider-choice.ts'
import { RespClient } from '@ipfleet/testing/resp-client.ts'
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

/** Loopback, but not where `localhost` leads. */
const away = '127.0.0.2'

test.each(['ASK', 'MOVED'])(
  'a node that %s tells by its port alone is where the telling one was asked',
  async (redirection) => {
    await using opened = new AsyncDisposableStack()
    const { provider } = await chooseRedisProvider('local')
    const node = async (port: number) => {
      const busPort = String(await freePort())
      const cluster = [
        '--cluster-enabled',
        'yes',
        '--cluster-port',
        busPort,
        '--bind',
        away,
        '--cluster-announce-ip',
        away,
      ]
      const args = [...cluster, '--cluster-preferred-endpoint-type', 'unknown-endpoint']
      opened.adopt(await startTestRedis({ provider, port, args }), (started) => started.stop())
      const url = `redis://${away}:${port}`
      const client = opened.adopt(await RespClient.connect(url), (connected) => connected.close())
      return { url, port, busPort, client, id: String(await client.call('CLUSTER', 'MYID')) }
    }
    const [from, to] = [await node(await freePort()), await node(await freePort())]
    // Another Redis, which must not be sent what is for the node.
    let misled = 0
    const stranger = opened.adopt(createServer(), (server) => void server.close())
    stranger.on('connection', (socket) => {
      misled += 1
      socket.destroy()
    })
    await once(stranger.listen(to.port, '127.0.0.1'), 'listening')
    await from.client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    await from.client.call('CLUSTER', 'MEET', away, String(to.port), to.busPort)
    for (const { client } of [from, to]) {
      await until(async () => String(await client.call('CLUSTER', 'INFO')).includes('cluster_known_nodes:2'))
      await until(async () => String(await client.call('CLUSTER', 'INFO')).includes('cluster_state:ok'))
    }
    const url = from.url.replace('redis:', 'redis+cluster:')
    const link = new RedisLink({ url, name: 'test', timeoutMs: 15_000 })
    opened.defer(() => link.close())
    await once(link, 'up')

    const slot = String(await from.client.call('CLUSTER', 'KEYSLOT', 'k'))
    await to.client.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id)
    await from.client.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id)
    if (redirection === 'MOVED') {
      for (const { client } of [to, from]) await client.call('CLUSTER', 'SETSLOT', slot, 'NODE', to.id)
    }
    expect(await link.run((client) => client.set('k', 'v'))).toBe('OK')
    expect(misled).toBe(0)
  },
)

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
