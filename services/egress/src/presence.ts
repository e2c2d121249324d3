import { Presence } from '@ipfleet/console/presence/presence.ts'
import { presenceId, stateWith } from '@ipfleet/console/presence/presence-record.ts'
import type { Counts } from '@ipfleet/core/counts.ts'
import { linkHealth } from '@ipfleet/redis/link-health.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { SourceStatus } from './sources/live-source-pool.ts'
import type { OutReason } from './sources/source-health.ts'

export interface EgressPresenceDeps {
  readonly link: RedisLink
  readonly port: number
  readonly sources: () => readonly SourceStatus[]
  /** How many are open from what each item of IP_POOL lists. */
  readonly connections: () => Counts
}

const reasons: Readonly<Record<OutReason, string>> = {
  not_ours: 'this machine does not have the address',
  check_failed: 'nothing is reached from it',
  parent_failed: 'the parent proxy is not reached, or does not serve this one',
}

/** Tells the consoles of the replicas that this egress is there, and why which of its sources are out. */
export function egressPresence({ link, port, sources, connections }: EgressPresenceDeps): Presence {
  return new Presence({
    link,
    id: presenceId(port),
    service: 'egress',
    describe: async () => {
      const open = connections()
      const rows = sources().map(({ listedAs, isUp, reason }) => ({
        label: listedAs,
        state: isUp ? ('up' as const) : ('down' as const),
        ...(reason !== undefined && { reason: reasons[reason] }),
        tunnels: open.of(listedAs),
      }))
      const isOut = rows.length > 0 && rows.every(({ state }) => state !== 'up')
      const ofSources = isOut ? 'every source address is out' : undefined
      return { ...stateWith([ofSources, linkHealth(link).reason]), sources: rows }
    },
  })
}
