import { callbackify } from 'node:util'
import type { Cluster, Redis } from 'ioredis'

/**
 * Takes a node that tells no host of itself to be where it was asked, as Redis has it: the only node of a Cluster knows none,
 * and others may be set to tell none (`cluster-preferred-endpoint-type unknown-endpoint`). ioredis 6.0.0 leaves both out, and
 * takes `localhost` where MOVED and ASK tell none.
 */
export function hostsAsAsked(cluster: Cluster): Cluster {
  cluster.on('+node', tellsHosts)
  const duplicate = cluster.duplicate.bind(cluster)
  // BullMQ 6.7.0 has its workers block on one.
  return Object.assign(cluster, {
    duplicate: (...given: Parameters<Cluster['duplicate']>) => hostsAsAsked(duplicate(...given)),
  })
}

type Node = [host: string | null, port: number, ...more: unknown[]]
/** The first and the last of some slots, and who has them. */
type SlotRange = [first: number, last: number, ...nodes: Node[]]

/** By a duplicate of its connection to a node, ioredis asks that node for all slots; where it errs, the node itself tells. */
function tellsHosts(node: Redis): void {
  const duplicate = node.duplicate.bind(node)
  const handleError = node.handleReconnection.bind(node)
  const { host: asked = '' } = node.options
  const placed = ([host, ...more]: Node): Node => [host || asked, ...more]
  Object.assign(node, {
    handleReconnection: (...[error, item]: Parameters<Redis['handleReconnection']>) => {
      error.message = error.message.replace(/^((?:MOVED|ASK) \d+ )(?=:\d+$)/, `$1${asked}`)
      handleError(error, item)
    },
    duplicate: (...given: Parameters<Redis['duplicate']>) => {
      const client = duplicate(...given)
      const ask = client.cluster.bind(client)
      const cluster = callbackify(async (_slots: 'SLOTS') => {
        const ranges = (await ask('SLOTS')) as SlotRange[]
        return ranges.map(([first, last, ...nodes]) => [first, last, ...nodes.map(placed)])
      })
      return Object.assign(client, { cluster })
    },
  })
}
