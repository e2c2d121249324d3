import cluster from 'node:cluster'
import type { BackendRow } from '@ipfleet/console/contract.ts'
import { Presence } from '@ipfleet/console/presence/presence.ts'
import { presenceId, stateWith } from '@ipfleet/console/presence/presence-record.ts'
import { linkHealth } from '@ipfleet/redis/link-health.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { Groups } from './backends/upstream-groups.ts'

export interface EdgePresenceDeps {
  readonly link: RedisLink
  readonly port: number
  readonly groups: () => Groups
}

/** Tells the consoles of the replicas that this process of the edge is there, and how its backends are. */
export function edgePresence({ link, port, groups }: EdgePresenceDeps): Presence {
  return new Presence({
    link,
    id: presenceId(port, cluster.worker?.id),
    service: 'edge',
    describe: async () => {
      const down = [...groups().values()].filter(({ usable }) => !usable).map(({ name }) => name)
      const ofGroups = down.length > 0 ? `no backend of ${down.join(', ')} is up` : undefined
      return { ...stateWith([ofGroups, linkHealth(link).reason]), backends: rowsOf(groups()) }
    },
  })
}

function rowsOf(groups: Groups): Omit<BackendRow, 'edge'>[] {
  return [...groups].flatMap(([group, members]) =>
    members.snapshots().map(({ id, state, inFlight, lastError }) => ({
      group,
      address: id,
      state: state === 'up' ? ('up' as const) : ('down' as const),
      inFlight,
      ...(lastError && { lastError: lastError.reason, lastErrorAt: new Date(lastError.atMs).toISOString() }),
    })),
  )
}
