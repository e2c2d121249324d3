import type { Exchange, HopHandler, HopRequest, HopTarget } from './hop.ts'

/** All durations in milliseconds. */
export interface HopPoolOptions {
  readonly connectTimeoutMs: number
  /** From the end of the request to the head of the answer. */
  readonly answerTimeoutMs: number
  /** Between two parts of the answer's body. */
  readonly idleTimeoutMs: number
  /** How long an idle connection is kept. Must be shorter than the server keeps it. */
  readonly keepAliveMs: number
  readonly maxConnections: number
  /** Exchanges that wait for a connection; one more is `busy`. */
  readonly maxWaiting: number
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
