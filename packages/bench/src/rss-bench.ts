import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import { replicaCommand, startMeasured } from './measured-server.ts'
import { residentBytes } from './proc-stats.ts'
import { manyTargets, warm } from './targets.ts'

export interface RssOptions {
  readonly entries: number
  readonly connections: number
  readonly nodeFlags: readonly string[]
}

export interface RssReport {
  readonly entries: number
  readonly connections: number
  readonly bytes: { readonly atStart: number; readonly withEntries: number; readonly withConnections: number }
}

/** Memory of a replica of a fleet that has its cache full and many clients waiting. */
export async function benchRss({ entries, connections, nodeFlags }: RssOptions): Promise<RssReport> {
  const fake = await startFakeIpinfo({ maxCalls: 1 })
  const redis = await startTestRedis()
  const env = {
    IPINFO_KEYS: 'bench-key-1,bench-key-2',
    IPINFO_BASE_URL: fake.url,
    REDIS_URL: redis.url,
    CACHE_MAX_ENTRIES: String(entries),
  }
  const replica = await startMeasured(replicaCommand(env, nodeFlags))
  const sockets: Socket[] = []
  try {
    const atStart = residentBytes(replica.pid)
    const targets = manyTargets(entries)
    await warm(replica.url, targets)
    const withEntries = residentBytes(replica.pid)
    for (const target of targets.slice(0, connections)) sockets.push(await idleConnection(replica.port, target))
    return { entries, connections, bytes: { atStart, withEntries, withConnections: residentBytes(replica.pid) } }
  } finally {
    for (const socket of sockets) socket.destroy()
    await replica.stop()
    await redis.stop()
    await fake.close()
  }
}

/** A connection that has had one answer and stays. */
async function idleConnection(port: number, target: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' })
  await once(socket, 'connect')
  socket.write(`GET ${target} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
  await once(socket, 'data')
  return socket
}
