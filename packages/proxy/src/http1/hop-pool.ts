import type { HopTimeouts } from './hop-connection.ts'
import type { Exchange, HopHandler, HopRequest, HopTarget } from './hop.ts'

export interface HopPoolOptions extends HopTimeouts {
  readonly maxConnections: number
  /** Exchanges that wait for a connection; one more is `busy`. */
  readonly maxWaiting: number
  /** Most of both that one client may hold, in percent of what the others leave free. Default 100: all of them. */
  readonly clientSharePercent?: number
}

/** Connections to one target, kept alive between exchanges. */
export interface HopPool {
  readonly target: HopTarget
  readonly open: number
  readonly idle: number
  readonly waiting: number
  /** Begins an exchange. Faults reach the handler, after this has returned. */
  exchange(request: HopRequest, handler: HopHandler): Exchange
  /** Takes effect for what begins from now on. */
  configure(options: HopPoolOptions): void
  /** Closes idle connections at once, busy ones when their answer is out. */
  close(): void
}
