import type { Socket } from 'node:net'

/** Why a tunnel ended: both sides closed it, one broke, nothing passed for too long, or this process stops. */
export type TunnelEnd = 'closed' | 'broken' | 'idle' | 'stopped'

export interface TunnelReport {
  readonly end: TunnelEnd
  readonly durationMs: number
  /** What the client sent, and what was written to it; bytes that came before the tunnel stood are not in it. */
  readonly bytesUp: number
  readonly bytesDown: number
}

interface Tunnel {
  readonly client: Socket
  readonly server: Socket
  readonly startedMs: number
  /** What had passed on the client's socket before. */
  readonly readBefore: number
  readonly writtenBefore: number
  readonly onEnd: (report: TunnelReport) => void
  broken: boolean
  passed: number
  activeMs: number
  /** Undefined as long as it stands. */
  end: TunnelEnd | undefined
}

/** For a side to close after the other is gone and all is written to it. */
const lingerMs = 2000

/**
 * Pairs of sockets whose bytes go over from one to the other. Each direction ends by itself (half-close), and a slow
 * reader slows down its writer. One timer looks after all of them.
 */
export class Tunnels {
  readonly #open = new Set<Tunnel>()
  #idleMs: number
  #timer: NodeJS.Timeout | undefined

  constructor({ idleMs }: { readonly idleMs: number }) {
    this.#idleMs = idleMs
  }

  get count(): number {
    return this.#open.size
  }

  configure({ idleMs }: { readonly idleMs: number }): void {
    this.#idleMs = idleMs
  }

  /** Both sockets must have been made with `allowHalfOpen`. What came early goes first. `onEnd` is called once. */
  join(
    client: Socket,
    server: Socket,
    early: { readonly fromClient: Buffer; readonly fromServer: Buffer },
    onEnd: (report: TunnelReport) => void,
  ): void {
    if (early.fromServer.length > 0) client.write(early.fromServer)
    if (early.fromClient.length > 0) server.write(early.fromClient)
    const startedMs = performance.now()
    const tunnel: Tunnel = {
      client,
      server,
      startedMs,
      readBefore: client.bytesRead,
      writtenBefore: client.bytesWritten,
      onEnd,
      broken: false,
      passed: 0,
      activeMs: startedMs,
      end: undefined,
    }
    this.#open.add(tunnel)
    this.#timer ??= setInterval(() => this.#look(), Math.min(1000, this.#idleMs)).unref()
    for (const socket of [client, server]) {
      socket.setTimeout(0)
      socket.on('error', () => (tunnel.broken = true))
      socket.on('close', () => this.#closed(tunnel))
    }
    client.pipe(server)
    server.pipe(client)
    // One that was gone before says so no more.
    if (client.destroyed || server.destroyed) process.nextTick(() => this.#closed(tunnel))
  }

  /** Lets what is open go on for that long and then ends the rest. */
  async drain(graceMs: number): Promise<void> {
    const endMs = performance.now() + graceMs
    while (this.#open.size > 0 && performance.now() < endMs) {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    for (const tunnel of this.#open) this.#finish(tunnel, 'stopped')
  }

  /**
   * One side is gone: what was on its way to the other is still written, then that one is given time to close. Until it
   * does, what it says is read and thrown away: to close a socket with bytes unread resets it, and with a reset is lost
   * what it has not read yet.
   */
  #closed(tunnel: Tunnel): void {
    const { client, server } = tunnel
    if (client.destroyed && server.destroyed) {
      this.#finish(tunnel, closedOrBroken(tunnel))
      return
    }
    const left = leftOf(tunnel)
    tunnel.activeMs = performance.now()
    left.unpipe()
    left.resume()
    left.end(() => (tunnel.activeMs = performance.now()))
  }

  #finish(tunnel: Tunnel, end: TunnelEnd): void {
    if (tunnel.end !== undefined) return
    tunnel.end = end
    this.#open.delete(tunnel)
    if (this.#open.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    }
    const { client, server, startedMs, readBefore, writtenBefore } = tunnel
    client.destroy()
    server.destroy()
    const report = {
      end,
      durationMs: performance.now() - startedMs,
      bytesUp: client.bytesRead - readBefore,
      bytesDown: client.bytesWritten - writtenBefore,
    }
    // Later, so that one that throws does not keep other tunnels from their end.
    queueMicrotask(() => tunnel.onEnd(report))
  }

  #look(): void {
    const nowMs = performance.now()
    for (const tunnel of this.#open) {
      const { client, server } = tunnel
      const passed = client.bytesRead + server.bytesRead
      if (client.destroyed || server.destroyed) this.#lookAtLeft(tunnel, nowMs)
      else if (passed !== tunnel.passed) {
        tunnel.passed = passed
        tunnel.activeMs = nowMs
      } else if (nowMs - tunnel.activeMs >= this.#idleMs) this.#finish(tunnel, 'idle')
    }
  }

  #lookAtLeft(tunnel: Tunnel, nowMs: number): void {
    const quietMs = nowMs - tunnel.activeMs
    if (!leftOf(tunnel).writableFinished) {
      if (quietMs >= this.#idleMs) this.#finish(tunnel, 'idle')
    } else if (quietMs >= lingerMs) this.#finish(tunnel, closedOrBroken(tunnel))
  }
}

/** The side that is left when the other is gone. */
function leftOf({ client, server }: Tunnel): Socket {
  return client.destroyed ? server : client
}

function closedOrBroken({ broken }: Tunnel): TunnelEnd {
  return broken ? 'broken' : 'closed'
}
