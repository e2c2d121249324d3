import type { Server } from 'node:http'
import { Server as TcpServer } from 'node:net'
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import { trackConnections } from './connection-tracker.ts'

export interface GracefulCloseOptions {
  /** How long to go on serving after readiness failed: longer than the edge takes to notice. */
  readonly drainMs: number
  /** Makes readiness fail. Called first. */
  readonly onDraining?: () => void
  /** How long answers under way may take after that, before their connections are destroyed. Default 10,000. */
  readonly deadlineMs?: number
  /** What listens, if it is not the server itself: TCP and TLS servers that hand it the connections. */
  readonly listeners?: readonly TcpServer[]
  /** Connections of another protocol on the same listener. */
  readonly others?: OtherConnections
  /** Connections that speak no protocol yet: their TLS handshake, or what comes before it, is not over. */
  readonly opening?: { destroyAll(): void }
}

export interface OtherConnections {
  /** `performance.now()` when one was last seen open. */
  lastOpenMs(): number
  /** Takes nothing new on those that are open now. */
  sayGoodbye(): void
  /** Destroys those on which nothing was ever sent. */
  destroySilent?(): void
  destroyAll(): void
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
  const { others, opening, listeners = [server] } = options
  options.onDraining?.()
  connections.sayGoodbye()
  others?.sayGoodbye()
  await drained(() => Math.max(connections.lastOpenMs(), others?.lastOpenMs() ?? -Infinity), options.drainMs)
  await acceptQueuesEmpty(listeners)

  const closed = Promise.all(listeners.map(stopListening))
  // Some may have come since.
  others?.sayGoodbye()
  connections.destroyIdle()
  connections.endWhenAnswered()
  const destroySilent = (): void => {
    connections.destroySilent()
    others?.destroySilent?.()
  }
  // After the loop has polled: what came while this process waited for the processor is read before that.
  const silent = setTimeout(() => setImmediate(destroySilent), SILENT_GRACE_MS)
  const unopened = setInterval(() => {
    opening?.destroyAll()
    // Handshakes may have ended since.
    others?.sayGoodbye()
    destroySilent()
  }, OPENING_GRACE_MS)
  const deadline = setTimeout(() => {
    connections.destroyAll()
    others?.destroyAll()
  }, options.deadlineMs ?? 10_000)
  await closed
  clearTimeout(silent)
  clearInterval(unopened)
  clearTimeout(deadline)
}

/**
 * `http.Server.close` (Node 26) would first destroy every connection that it takes for idle, and it takes those for
 * idle that have just been accepted. The class below it only stops listening and waits.
 */
function stopListening(server: TcpServer): Promise<void> {
  return new Promise((resolve) => void TcpServer.prototype.close.call(server, () => resolve()))
}

/** A connection accepted at the very end may have its request still on the way; one of a browser's spares never has. */
const SILENT_GRACE_MS = 250

/** A handshake that was begun at the very end takes some round trips. */
const OPENING_GRACE_MS = 1000

/** An edge that opens a connection for each readiness check is taken to check at least this often. */
const QUIET_MS = 1000

/** Waits for `drainMs`, or until no client was connected for a while: then there is none to wait for. */
async function drained(lastOpenMs: () => number, drainMs: number): Promise<void> {
  const endMs = performance.now() + drainMs
  for (let now = performance.now(); now < endMs; now = performance.now()) {
    const quietMs = lastOpenMs() + QUIET_MS
    if (now >= quietMs) return
    await delay(Math.min(endMs - now, Math.max(quietMs - now, 10), 100))
  }
}

/**
 * libuv accepts one connection a turn, and closing the listener resets those that still queue in the kernel. What
 * connects within the microseconds between the last look and the close is reset all the same: Linux has no way to stop
 * one without the other. Only clients that come back although they were told goodbye can meet that.
 */
const MAX_TURNS = 2000

async function acceptQueuesEmpty(listeners: readonly TcpServer[]): Promise<void> {
  let accepted = 0
  const onConnection = (): void => {
    accepted += 1
  }
  for (const listener of listeners) listener.on('connection', onConnection)
  let quietTurns = 0
  // The first turn may end without a look at the network, so one quiet turn proves nothing.
  for (let turn = 0; turn < MAX_TURNS && quietTurns < 2; turn += 1) {
    const before = accepted
    // Resumes right after the loop has polled, so that whatever had arrived has been taken.
    await nextTurn()
    quietTurns = accepted === before ? quietTurns + 1 : 0
  }
  for (const listener of listeners) listener.off('connection', onConnection)
}
