import type { NameLookups } from '@ipfleet/net/name-lookups.ts'
import type { ParentDialer } from './dial/parent-dialer.ts'
import type { Fleet } from './fleet.ts'
import { durationsOf, type EgressSettings } from './settings.ts'
import { type PoolEntry, readIpPool } from './sources/ip-pool.ts'
import { LiveSourcePool } from './sources/live-source-pool.ts'
import { createSourceCheck } from './sources/source-check.ts'

/** What IP_POOL lists. */
export function poolEntries({ IP_POOL: items }: EgressSettings): readonly PoolEntry[] {
  const read = readIpPool(items)
  if (read.kind === 'faults') throw new Error(`IP_POOL: ${read.faults.join('; ')}`)
  return read.entries
}

/** Whether connections from it are to names that a parent looks up. */
export function looksUpRemotely(entry: PoolEntry): boolean {
  return entry.kind === 'parent' && entry.parent.dns === 'remote'
}

export function createSourcePool(
  settings: EgressSettings,
  entries: readonly PoolEntry[],
  { clock, redis }: Fleet,
  parents: ParentDialer,
  names: NameLookups,
): LiveSourcePool {
  const { checkIntervalMs, siteBenchMs } = durationsOf(settings)
  const checked = { url: settings.HEALTH_CHECK_URL, timeoutMs: settings.HEALTH_CHECK_TIMEOUT_MS, names }
  const check = createSourceCheck(checked, parents)
  return new LiveSourcePool(
    { entries, rotation: settings.ROTATION, checkIntervalMs, siteBenchMs },
    { check, clock, fleet: redis },
  )
}
