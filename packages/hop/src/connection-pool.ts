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
  readonly #waiting: { readonly exchange: HopExchange; readonly untilMs: number }[] = []
  readonly #owner = {
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
    return this.#waiting.length
  }

  exchange(request: HopRequest, handler: HopHandler): Exchange {
    const exchange = new HopExchange(request, handler)
    const idle = this.#idle.pop()
    if (idle) exchange.begin(idle)
    else if (this.#connections.size < this.#options.maxConnections) this.#connect(exchange)
    else this.#wait(exchange)
    return exchange
  }

  configure(options: HopPoolOptions): void {
    this.#options = options
  }

  close(): void {
    this.#closing = true
    for (const connection of this.#idle.splice(0)) connection.drop()
    for (const { exchange } of this.#waiting.splice(0)) exchange.fail(busy())
    this.#restIfEmpty()
  }

  #connect(exchange: HopExchange): void {
    this.#connections.add(new HopConnection(this.target, this.#options, exchange, this.#owner))
    this.#timer ??= setInterval(() => this.#look(), lookEveryMs).unref()
  }

  #wait(exchange: HopExchange): void {
    if (this.#waiting.length < this.#options.maxWaiting && !this.#closing) {
      this.#waiting.push({ exchange, untilMs: performance.now() + this.#options.connectTimeoutMs })
    } else queueMicrotask(() => exchange.fail(busy()))
  }

  #freed(connection: HopConnection): void {
    const next = this.#nextWaiting()
    if (next) next.begin(connection)
    else if (this.#closing) connection.drop()
    else this.#idle.push(connection)
  }

  #gone(connection: HopConnection): void {
    this.#connections.delete(connection)
    const at = this.#idle.indexOf(connection)
    if (at >= 0) this.#idle.splice(at, 1)
    const next = this.#closing ? undefined : this.#nextWaiting()
    if (next) this.#connect(next)
    else this.#restIfEmpty()
  }

  #nextWaiting(): HopExchange | undefined {
    for (;;) {
      const next = this.#waiting.shift()
      if (next === undefined || !next.exchange.over) return next?.exchange
    }
  }

  #look(): void {
    const nowMs = performance.now()
    for (const connection of this.#connections) connection.checkDeadline(nowMs)
    while (this.#waiting[0] !== undefined && this.#waiting[0].untilMs <= nowMs)
      this.#waiting.shift()?.exchange.fail(busy())
  }

  #restIfEmpty(): void {
    if (this.#connections.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

function busy(): HopFault {
  return new HopFault('busy', 'no connection was free in time')
}
