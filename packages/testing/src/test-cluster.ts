import { RespClient } from './resp-client.ts'
import { chooseRedisProvider } from './redis-provider-choice.ts'
import type { RedisProvider } from './redis-provider.ts'
import { freePort } from './service-process-port.ts'
import type { TestCertificate } from './test-certificate.ts'
import { startTestRedis, type TestRedis } from './test-redis.ts'
import { tlsFlags } from './test-redis-tls.ts'
import { until } from './until.ts'

/** A Redis Cluster of nodes on this machine. */
export interface TestCluster {
  /** `redis+cluster://127.0.0.1:port,…`; with TLS, `rediss+cluster://localhost:port,…`. */
  readonly url: string
  /** The masters first; the replica of each after them, in the same order. */
  readonly nodes: readonly TestRedis[]
  /** One command on each master; their replies. */
  onEachMaster(...command: readonly string[]): Promise<unknown[]>
  /** The same on replicas too. */
  onEachNode(...command: readonly string[]): Promise<unknown[]>
  /** A master without slots joins. @returns its number in `nodes` */
  add(): Promise<number>
  /** Begins to move a slot from one node to another (numbers in `nodes`): keys that are not there yet are made there. */
  beginMove(slot: number, from: number, to: number): Promise<void>
  /** Brings the keys of such a slot over and ends the move. */
  endMove(slot: number, from: number, to: number): Promise<void>
  stop(): Promise<void>
}

const masters = 3
const slots = 16_384

export interface TestClusterOptions {
  /** One of each master. */
  readonly replicas?: boolean
  /**
   * Nodes have TLS, for all that they say to each other too, and want certificates of their clients. They tell their
   * clients that they are `localhost`. The test itself asks them without TLS.
   */
  readonly certificate?: TestCertificate
}

export async function startTestCluster({
  replicas = false,
  certificate,
}: TestClusterOptions = {}): Promise<TestCluster> {
  const { provider } = await chooseRedisProvider('local')
  const count = replicas ? 2 * masters : masters
  const started = await Promise.all(Array.from({ length: count }, () => startNode(provider, certificate)))
  const nodes = started.map(({ redis }) => redis)
  const clients = await Promise.all(nodes.map(({ url }) => RespClient.connect(url)))
  const ids = (await Promise.all(clients.map((client) => client.call('CLUSTER', 'MYID')))) as string[]
  for (const [at, client] of clients.slice(0, masters).entries()) {
    const [from, to] = [at, at + 1].map((share) => Math.floor((share * slots) / masters)) as [number, number]
    await client.call('CLUSTER', 'SET-CONFIG-EPOCH', String(at + 1))
    await client.call('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to - 1))
  }
  for (const { redis, tlsPort = redis.port, busPort } of started) {
    await clients[0]?.call('CLUSTER', 'MEET', '127.0.0.1', String(tlsPort), String(busPort))
  }
  await until(async () => (await infos(clients)).every((info) => info.includes(`cluster_known_nodes:${nodes.length}`)))
  for (const [at, client] of clients.slice(masters).entries()) {
    await until(() => client.call('CLUSTER', 'REPLICATE', ids[at] as string).then(Boolean, () => false))
  }
  await until(async () => (await infos(clients)).every((info) => info.includes('cluster_state:ok')))
  for (const client of clients.slice(masters)) {
    await until(async () => String(await client.call('INFO', 'replication')).includes('master_link_status:up'))
  }
  return {
    url: certificate
      ? `rediss+cluster://${started.map(({ tlsPort }) => `localhost:${tlsPort}`).join()}`
      : `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join()}`,
    nodes,
    onEachMaster: (...command) => Promise.all(clients.slice(0, masters).map((client) => client.call(...command))),
    onEachNode: (...command) => Promise.all(clients.map((client) => client.call(...command))),
    ...slotMoves(nodes, clients, ids),
    add: async () => {
      const { redis } = await startNode(provider)
      const client = await RespClient.connect(redis.url)
      nodes.push(redis)
      clients.push(client)
      ids.push((await client.call('CLUSTER', 'MYID')) as string)
      await client.call('CLUSTER', 'MEET', '127.0.0.1', String(nodes[1]?.port), String(started[1]?.busPort))
      await until(async () => (await infos([client])).every((info) => info.includes('cluster_state:ok')))
      return nodes.length - 1
    },
    stop: async () => {
      for (const client of clients) client.close()
      await Promise.all(nodes.map((node) => node.stop()))
    },
  }
}

function slotMoves(
  nodes: readonly TestRedis[],
  clients: readonly RespClient[],
  ids: readonly string[],
): Pick<TestCluster, 'beginMove' | 'endMove'> {
  const setSlot = (at: number, slot: number, ...state: readonly string[]): Promise<unknown> =>
    clients[at]?.call('CLUSTER', 'SETSLOT', String(slot), ...state) ?? Promise.resolve()
  return {
    beginMove: async (slot, from, to) => {
      await setSlot(to, slot, 'IMPORTING', ids[from] as string)
      await setSlot(from, slot, 'MIGRATING', ids[to] as string)
    },
    endMove: async (slot, from, to) => {
      for (;;) {
        const keys = (await clients[from]?.call('CLUSTER', 'GETKEYSINSLOT', String(slot), '100')) as string[]
        if (keys.length === 0) break
        const target = ['127.0.0.1', String(nodes[to]?.port), '', '0', '10000']
        await clients[from]?.call('MIGRATE', ...target, 'KEYS', ...keys)
      }
      // The new owner first: the old one would send clients in a circle.
      for (const at of [to, from]) await setSlot(at, slot, 'NODE', ids[to] as string)
    },
  }
}

interface StartedNode {
  readonly redis: TestRedis
  readonly busPort: number
  readonly tlsPort?: number
}

async function startNode(provider: RedisProvider, certificate?: TestCertificate): Promise<StartedNode> {
  const busPort = await freePort()
  const args = ['--cluster-enabled', 'yes', '--cluster-port', String(busPort), '--cluster-node-timeout', '2000']
  // A replica would wait 5 s for others to be filled with it, and cannot take its master's place until it is.
  args.push('--repl-diskless-sync-delay', '0')
  if (certificate === undefined) return { redis: await startTestRedis({ provider, args }), busPort }
  const tlsPort = await freePort()
  args.push(...tlsFlags(certificate, tlsPort), '--tls-cluster', 'yes')
  args.push('--cluster-announce-hostname', 'localhost', '--cluster-preferred-endpoint-type', 'hostname')
  return { redis: await startTestRedis({ provider, args }), busPort, tlsPort }
}

async function infos(clients: readonly RespClient[]): Promise<string[]> {
  return (await Promise.all(clients.map((client) => client.call('CLUSTER', 'INFO')))).map(String)
}
