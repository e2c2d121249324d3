import type { Socket } from 'node:net'

/**
 * Why a tunnel ended: both sides closed it, one broke, nothing passed for too long, it has had all the bytes or time
 * that one may have, or this process stops.
 */
export type TunnelEnd = 'closed' | 'broken' | 'idle' | 'limit' | 'stopped'

export interface TunnelReport {
  readonly end: TunnelEnd
  readonly durationMs: number
  /** What was passed on from the client, and to it; what is given to `join` as early is not in it. */
  readonly bytesUp: number
  readonly bytesDown: number
}

export interface TunnelKeeper {
  /** Of one tunnel, both ways together; Infinity: as many as come. */
  readonly maxBytes: number
  over(tunnel: Tunnel): void
}

/** For a side to close after the other is gone and all is written to it. */
const lingerMs = 2000
/** A peer that has silently gone is noticed after so long, however idle the tunnel. The system's usual is 2 hours. */
const probeAfterMs = 60_000

/**
 * Two sockets whose bytes go over from one to the other. It is not made of two `pipe`s, each of which hangs a dozen
 * closures on its sockets: an idle tunnel is mostly them. Here all tunnels share their listeners, which find the tunnel
 * in a property of the socket.
 */
export class Tunnel {
  readonly #client: TunnelSocket
  readonly #server: TunnelSocket
  readonly #keeper: TunnelKeeper
  readonly #onEnd: (report: TunnelReport) => void
  readonly #startedMs: number
  #bytesUp = 0
  #bytesDown = 0
  /** What of both had passed when it was last looked at, and when that became more. */
  #bytesSeen = 0
  #activeMs: number
  #broken = false
  #isProbed = false
  #end: TunnelEnd | undefined

  constructor(client: Socket, server: Socket, keeper: TunnelKeeper, onEnd: (report: TunnelReport) => void) {
    this.#client = client
    this.#server = server
    this.#keeper = keeper
    this.#onEnd = onEnd
    this.#startedMs = performance.now()
    this.#activeMs = this.#startedMs
    this.#listen(client)
    this.#listen(server)
    // One that was gone before says so no more.
    if (client.destroyed || server.destroyed) process.nextTick(() => this.closed())
  }

  #listen(socket: TunnelSocket): void {
    socket[tunnelOf] = this
    socket.setTimeout(0)
    socket.on('error', onError).on('close', onClose).on('drain', onDrain).on('end', onEnded).on('data', onData)
    // Nor does one that had said all before.
    if (socket.readableEnded) this.ended(socket)
    else if (this.#other(socket).writableNeedDrain) socket.pause()
    else socket.resume()
  }

  /** A slow reader slows down its writer. Of what is more than a tunnel may pass nothing goes on. */
  passOn(from: TunnelSocket, chunk: Buffer): void {
    const to = this.#other(from)
    // What is read when one side is gone goes nowhere.
    if (to.destroyed) return
    const { length } = chunk
    const left = this.#keeper.maxBytes - this.#bytesUp - this.#bytesDown
    const passed = length > left ? chunk.subarray(0, left) : chunk
    if (from === this.#client) this.#bytesUp += passed.length
    else this.#bytesDown += passed.length
    to.write(passed)
    // What the system has taken whole is no reason to wait, however much it was.
    if (to.writableNeedDrain && to.writableLength > 0) from.pause()
    if (length >= left) this.finish('limit')
  }

  /** Whether what was read from it has not all been sent on. */
  isBehind(from: TunnelSocket): boolean {
    return this.#other(from).writableLength > 0
  }

  drained(to: TunnelSocket): void {
    const from = this.#other(to)
    if (from.isPaused()) from.resume()
  }

  ended(from: TunnelSocket): void {
    const to = this.#other(from)
    // When both have said all, and all of it is sent, closing the sockets says so to both.
    const isOver = to.readableEnded && to.writableLength === 0 && from.writableFinished
    if (isOver) this.finish(this.#closedOrBroken)
    else to.end()
  }

  broke(): void {
    this.#broken = true
  }

  /**
   * One side is gone: what was on its way to the other is still written, then that one is given time to close. Until it
   * does, what it says is read and thrown away: to close a socket with bytes unread resets it, and with a reset is lost
   * what it has not read yet.
   */
  closed(): void {
    if (this.#client.destroyed && this.#server.destroyed) {
      this.finish(this.#closedOrBroken)
      return
    }
    const left = this.#left
    this.#activeMs = performance.now()
    left.resume()
    left.end(() => (this.#activeMs = performance.now()))
  }

  /** Called now and then: ends what has lasted too long. */
  look(nowMs: number, idleMs: number, maxMs: number): void {
    const bytes = this.#bytesUp + this.#bytesDown
    const quietMs = nowMs - this.#activeMs
    if (!this.#isProbed) this.#probe()
    if (nowMs - this.#startedMs >= maxMs) this.finish('limit')
    else if (this.#client.destroyed || this.#server.destroyed) this.#lookAtLeft(quietMs, idleMs)
    else if (bytes !== this.#bytesSeen) {
      this.#bytesSeen = bytes
      this.#activeMs = nowMs
    } else if (quietMs >= idleMs) this.finish('idle')
  }

  finish(end: TunnelEnd): void {
    if (this.#end !== undefined) return
    this.#end = end
    this.#client.destroy()
    this.#server.destroy()
    this.#keeper.over(this)
    const durationMs = performance.now() - this.#startedMs
    const report = { end, durationMs, bytesUp: this.#bytesUp, bytesDown: this.#bytesDown }
    // Later, so that one that throws does not keep other tunnels from their end.
    queueMicrotask(() => this.#onEnd(report))
  }

  /** Not from the start: most tunnels are over before anybody looks. */
  #probe(): void {
    this.#isProbed = true
    this.#client.setKeepAlive(true, probeAfterMs)
    this.#server.setKeepAlive(true, probeAfterMs)
  }

  #lookAtLeft(quietMs: number, idleMs: number): void {
    if (!this.#left.writableFinished) {
      if (quietMs >= idleMs) this.finish('idle')
    } else if (quietMs >= lingerMs) this.finish(this.#closedOrBroken)
  }

  #other(side: TunnelSocket): TunnelSocket {
    return side === this.#client ? this.#server : this.#client
  }

  /** The side that is left when the other is gone. */
  get #left(): TunnelSocket {
    return this.#client.destroyed ? this.#server : this.#client
  }

  get #closedOrBroken(): TunnelEnd {
    return this.#broken ? 'broken' : 'closed'
  }
}

export const tunnelOf = Symbol('tunnel')

export interface TunnelSocket extends Socket {
  [tunnelOf]?: Tunnel
}

function onData(this: TunnelSocket, chunk: Buffer): void {
  this[tunnelOf]?.passOn(this, chunk)
}

function onDrain(this: TunnelSocket): void {
  this[tunnelOf]?.drained(this)
}

function onEnded(this: TunnelSocket): void {
  this[tunnelOf]?.ended(this)
}

function onError(this: TunnelSocket): void {
  this[tunnelOf]?.broke()
}

function onClose(this: TunnelSocket): void {
  this[tunnelOf]?.closed()
}
