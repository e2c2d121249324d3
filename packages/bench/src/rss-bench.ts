import { startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { memoryFlags } from '@ipfleet/testing/memory-flags.ts'
import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import { openIdleClients, requireOpenFiles } from './idle-clients.ts'
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
  /** Those of `npm start`, as in the benchmarks of CPU time, and `nodeFlags`. */
  readonly flags: readonly string[]
  readonly bytes: { readonly atStart: number; readonly withEntries: number; readonly withConnections: number }
}

/**
 * Memory of a replica of a fleet that has its cache full, and many clients that have had an answer from it and wait.
 * Throws when it closes one of them.
 */
export async function benchRss({ entries, connections, nodeFlags }: RssOptions): Promise<RssReport> {
  requireOpenFiles(connections)
  await using opened = new AsyncDisposableStack()
  const fake = await startFakeIpinfo({ maxCalls: 1 })
  opened.defer(() => fake.close())
  const redis = await startTestRedis()
  opened.defer(() => redis.stop())
  const env = {
    IPINFO_KEYS: 'bench-key-1,bench-key-2',
    IPINFO_BASE_URL: fake.url,
    REDIS_URL: redis.url,
    CACHE_MAX_ENTRIES: String(entries),
  }
  const replica = opened.use(await startMeasured(replicaCommand(env, nodeFlags)))
  const atStart = residentBytes(replica.pid)
  const targets = manyTargets(entries)
  await warm(replica.url, targets)
  const withEntries = residentBytes(replica.pid)
  opened.use(await openIdleClients(replica.port, connections, targets.at(-1)))
  const bytes = { atStart, withEntries, withConnections: residentBytes(replica.pid) }
  return { entries, connections, flags: [...memoryFlags, ...nodeFlags], bytes }
}
