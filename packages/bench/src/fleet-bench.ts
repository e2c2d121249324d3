import type { Outcome } from '@ipfleet/cache/outcome.ts'
import { RespClient } from '@ipfleet/testing/resp-client.ts'
import { startTestCluster } from '@ipfleet/testing/test-cluster.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { joinFleet, type SimulatedReplica } from './simulated-replica.ts'
import { manyTargets } from './targets.ts'

export interface FleetOptions {
  /** Of each fleet, one after the other. */
  readonly sizes: readonly number[]
  /** Different queries, each of which all replicas ask at once. */
  readonly distinct: number
  /** That upstream takes over an answer. */
  readonly latencyMs: number
}

export interface FleetSeries {
  readonly replicas: number
  readonly lookups: number
  readonly distinct: number
  readonly upstreamCalls: number
  /** Calls with each key. */
  readonly byKey: readonly number[]
  /** Of one look-up that waits for another replica's call, and of one that Redis answers. */
  readonly herd: RedisCost
  readonly read: RedisCost
  /** Published messages that a node has sent on to the others, for one upstream call. */
  readonly messagesSentOn: number
  /** Of all nodes, with one for messages. */
  readonly connectionsPerReplica: number
}

interface RedisCost {
  /** With those that scripts run. */
  readonly commands: number
  readonly cpuMicros: number
}

const keyIds = ['key-1', 'key-2', 'key-3', 'key-4', 'key-5']
/** As long as a full record is. */
const body = Buffer.alloc(330, 'x')

/** Fleets of many replicas in this process, on a Cluster of three masters, whose every query is a herd. */
export async function benchFleet({ sizes, distinct, latencyMs }: FleetOptions): Promise<{ series: FleetSeries[] }> {
  const series: FleetSeries[] = []
  for (const replicas of sizes) series.push(await measureFleet(replicas, distinct, latencyMs))
  return { series }
}

async function measureFleet(size: number, distinct: number, latencyMs: number): Promise<FleetSeries> {
  const cluster = await startTestCluster()
  const clients = await Promise.all(cluster.nodes.map(({ url }) => RespClient.connect(url)))
  const before = await totalsOf(clients)
  const replicas = await Promise.all(Array.from({ length: size }, () => joinFleet(cluster.url)))
  try {
    const [warmUp = '', ...queries] = manyTargets(distinct + 1)
    const calls = new Map(keyIds.map((id) => [id, 0]))
    const load = (replica: SimulatedReplica) => async (): Promise<Outcome> => {
      const taken = await replica.keys.take(keyIds)
      if (taken.kind === 'key') calls.set(taken.id, (calls.get(taken.id) ?? 0) + 1)
      await sleep(latencyMs)
      return { kind: 'answer', answer: { status: 200, contentType: 'application/json', body }, freshForMs: 86_400_000 }
    }
    const askAll = async (query: string): Promise<void> => {
      await Promise.all(replicas.map((replica) => replica.find(query, load(replica))))
    }
    await askAll(warmUp)
    for (const id of keyIds) calls.set(id, 0)
    const start = await totalsOf(clients)
    for (const query of queries) await askAll(query)
    const loaded = await totalsOf(clients)
    for (const replica of replicas) replica.forget()
    for (const query of queries) await askAll(query)
    const read = await totalsOf(clients)
    const byKey = [...calls.values()]
    const upstreamCalls = byKey.reduce((sum, count) => sum + count, 0)
    const lookups = size * distinct
    return {
      replicas: size,
      lookups,
      distinct,
      upstreamCalls,
      byKey,
      herd: costOf(start, loaded, lookups),
      read: costOf(loaded, read, lookups),
      messagesSentOn: (loaded.messages - start.messages) / distinct,
      connectionsPerReplica: (read.connections - before.connections) / size,
    }
  } finally {
    for (const replica of replicas) replica.close()
    for (const client of clients) client.close()
    await cluster.stop()
  }
}

interface Totals {
  readonly commands: number
  readonly cpuMicros: number
  readonly messages: number
  readonly connections: number
}

function costOf(from: Totals, to: Totals, lookups: number): RedisCost {
  return { commands: (to.commands - from.commands) / lookups, cpuMicros: (to.cpuMicros - from.cpuMicros) / lookups }
}

/** Of all masters. */
async function totalsOf(clients: readonly RespClient[]): Promise<Totals> {
  const texts = await Promise.all(
    clients.map(
      async (client) => `${String(await client.call('INFO'))}${String(await client.call('CLUSTER', 'INFO'))}`,
    ),
  )
  const sum = (name: string): number =>
    texts.reduce((total, text) => total + Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(text)?.[1] ?? 0), 0)
  return {
    commands: sum('total_commands_processed'),
    cpuMicros: 1e6 * (sum('used_cpu_user') + sum('used_cpu_sys')),
    messages: sum('cluster_stats_messages_publish_sent'),
    connections: sum('connected_clients'),
  }
}
