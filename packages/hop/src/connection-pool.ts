import { HopConnection } from './hop-connection.ts'
import { HopExchange } from './hop-exchange.ts'
import { HopFault } from './hop-fault.ts'
import type { HopPool, HopPoolOptions } from './hop-pool.ts'
import type { Exchange, HopHandler, HopRequest, HopTarget } from './hop.ts'

/** How often connections are looked at: a deadline is late by up to as much, and costs no timer per request. */
const lookEveryMs = 100

/** The connections to one target. The one used last is used first, so that those too many grow old and are closed. */
export class ConnectionPool implements HopPool {
  readonly target: HopTarget
  readonly #connections = new Set<HopConnection>()
  readonly #idle: HopConnection[] = []
  /** The line of those that wait, and until when (`performance.now()`). */
  readonly #waiting = new Map<HopExchange, number>()
  readonly #owner = {
    closes: false,
    timeouts: (): HopPoolOptions => this.#options,
    freed: (connection: HopConnection): void => this.#freed(connection),
    gone: (connection: HopConnection): void => this.#gone(connection),
  }
  #options: HopPoolOptions
  #timer: NodeJS.Timeout | undefined
  #closing = false

  constructor(target: HopTarget, options: HopPoolOptions) {
    this.target = target
    this.#options = options
  }

  get open(): number {
    return this.#connections.size
  }

  get idle(): number {
    return this.#idle.length
  }

  get waiting(): number {
    return this.#waiting.size
  }

  exchange(request: HopRequest, handler: HopHandler): Exchange {
    const exchange = new HopExchange(request, handler)
    const idle = this.#idle.pop()
    if (idle) exchange.begin(idle)
    else if (this.#hasRoom) this.#connect(exchange)
    else this.#wait(exchange)
    return exchange
  }

  configure(options: HopPoolOptions): void {
    this.#options = options
    this.#connectWaiting()
  }

  close(): void {
    this.#closing = true
    for (const connection of this.#idle.splice(0)) connection.drop()
    for (const exchange of this.#waiting.keys()) this.#refuse(exchange)
    this.#restIfEmpty()
  }

  get #hasRoom(): boolean {
    return this.#connections.size < this.#options.maxConnections
  }

  #connect(exchange: HopExchange): void {
    this.#connections.add(HopConnection.to(this.target, exchange, this.#owner))
    this.#watch()
  }

  #wait(exchange: HopExchange): void {
    if (this.#closing || this.#waiting.size >= this.#options.maxWaiting) {
      queueMicrotask(() => exchange.fail(busy()))
      return
    }
    this.#waiting.set(exchange, performance.now() + this.#options.connectTimeoutMs)
    exchange.leaveLine = () => this.#waiting.delete(exchange)
    this.#watch()
  }

  #freed(connection: HopConnection): void {
    // There may be too many since `configure`.
    const isSurplus = this.#connections.size > this.#options.maxConnections
    const next = isSurplus ? undefined : this.#nextWaiting()
    if (next) next.begin(connection)
    else if (isSurplus || this.#closing) connection.drop()
    else this.#idle.push(connection)
  }

  #gone(connection: HopConnection): void {
    this.#connections.delete(connection)
    const at = this.#idle.indexOf(connection)
    if (at >= 0) this.#idle.splice(at, 1)
    this.#connectWaiting()
    this.#restIfEmpty()
  }

  #connectWaiting(): void {
    while (this.#hasRoom) {
      const next = this.#nextWaiting()
      if (next === undefined) return
      this.#connect(next)
    }
  }

  /** Takes the first one out of the line. */
  #nextWaiting(): HopExchange | undefined {
    for (const next of this.#waiting.keys()) {
      this.#waiting.delete(next)
      next.leaveLine = undefined
      return next
    }
    return undefined
  }

  #refuse(exchange: HopExchange): void {
    this.#waiting.delete(exchange)
    exchange.fail(busy())
  }

  #watch(): void {
    this.#timer ??= setInterval(() => this.#look(), lookEveryMs).unref()
  }

  #look(): void {
    const nowMs = performance.now()
    for (const connection of this.#connections) connection.checkDeadline(nowMs)
    for (const [exchange, untilMs] of this.#waiting) if (untilMs <= nowMs) this.#refuse(exchange)
    this.#restIfEmpty()
  }

  #restIfEmpty(): void {
    if (this.#connections.size > 0 || this.#waiting.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

function busy(): HopFault {
  return new HopFault('busy', 'no connection was free in time')
}
