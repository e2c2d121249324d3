import type { Server } from 'node:http'
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import { trackConnections } from './connection-tracker.ts'
import type { ConnectionTracker } from './connection-tracker.ts'

export interface GracefulCloseOptions {
  /** How long to go on serving after readiness failed: longer than the edge takes to notice. */
  readonly drainMs: number
  /** Makes readiness fail. Called first. */
  readonly onDraining?: () => void
  /** How long answers under way may take after that, before their connections are destroyed. Default 10,000. */
  readonly deadlineMs?: number
}

/**
 * Closes a server that `listen` opened, without losing a request: readiness fails, everything is served for `drainMs`
 * with `Connection: close` on each answer, so that clients leave by themselves, and only then nothing more is accepted.
 * `server.close()` alone resets connections that the kernel had already accepted and requests on their way.
 *
 * Resolves when all connections are closed: at the latest `drainMs + deadlineMs` from now, and a few loop turns.
 */
export async function gracefulClose(server: Server, options: GracefulCloseOptions): Promise<void> {
  const connections = trackConnections(server)
  options.onDraining?.()
  connections.sayGoodbye()
  await drained(connections, options.drainMs)
  await acceptQueueEmpty(connections)

  const closed = new Promise<void>((resolve) => void server.close(() => resolve()))
  connections.endWhenAnswered()
  const silent = setTimeout(() => connections.destroySilent(), SILENT_GRACE_MS)
  const deadline = setTimeout(() => connections.destroyAll(), options.deadlineMs ?? 10_000)
  await closed
  clearTimeout(silent)
  clearTimeout(deadline)
}

/** A connection accepted at the very end may have its request still on the way; one of a browser's spares never has. */
const SILENT_GRACE_MS = 250

/** An edge that opens a connection for each readiness check is taken to check at least this often. */
const QUIET_MS = 1000

/** Waits for `drainMs`, or until nobody was connected for a while: then there is nobody to wait for. */
async function drained(connections: ConnectionTracker, drainMs: number): Promise<void> {
  const endMs = performance.now() + drainMs
  for (let now = performance.now(); now < endMs; now = performance.now()) {
    const quietMs = connections.lastOpenMs() + QUIET_MS
    if (now >= quietMs) return
    // oxlint-disable-next-line no-await-in-loop -- waiting is the point
    await delay(Math.min(endMs - now, Math.max(quietMs - now, 10), 100))
  }
}

/** libuv accepts one connection a turn, and closing the listener resets those that still queue in the kernel. */
const MOST_TURNS = 2000

async function acceptQueueEmpty(connections: ConnectionTracker): Promise<void> {
  let before = -1
  for (let turn = 0; turn < MOST_TURNS && connections.accepted !== before; turn += 1) {
    before = connections.accepted
    // Resumes right after the loop has polled, so that whatever had arrived has been taken.
    // oxlint-disable-next-line no-await-in-loop -- one turn after the other
    await nextTurn()
  }
}
