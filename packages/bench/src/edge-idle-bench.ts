import { setTimeout as sleep } from 'node:timers/promises'
import { edgeCommand } from './edge-server.ts'
import { openIdleClients, requireOpenFiles } from './idle-clients.ts'
import { startMeasured } from './measured-server.ts'
import { originCommand } from './origin-server.ts'
import { residentBytes } from './proc-stats.ts'

export interface EdgeIdleOptions {
  readonly connections: number
  readonly workers: number
  readonly nodeFlags: readonly string[]
}

export interface EdgeIdleReport {
  readonly connections: number
  readonly bytes: { readonly atStart: number; readonly withConnections: number }
}

const bodyBytes = 300
/** What follows the last answer is over by then, and a server that closes connections early has shown it. */
const settleMs = 3000

/** Memory of the edge with many clients that have had an answer and wait. Throws when it closes one of them. */
export async function benchEdgeIdle({ connections, workers, nodeFlags }: EdgeIdleOptions): Promise<EdgeIdleReport> {
  requireOpenFiles(connections)
  await using origin = await startMeasured(originCommand(bodyBytes))
  await using edge = await startMeasured(edgeCommand({ backends: [origin.url], workers, connections, nodeFlags }))
  const atStart = residentBytes(edge.pid)
  await using clients = await openIdleClients(edge.port, connections)
  await Promise.race([sleep(settleMs), clients.broken])
  return { connections, bytes: { atStart, withConnections: residentBytes(edge.pid) } }
}
