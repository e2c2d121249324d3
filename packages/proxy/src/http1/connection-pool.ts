import { spread } from '@ipfleet/core/spread.ts'
import type { ConnectionTimeouts } from './connection-timeouts.ts'
import { UpstreamConnection } from './upstream-connection.ts'
import { Exchange } from './exchange.ts'
import { lookRegularly } from '@ipfleet/core/look-regularly.ts'
import { type BusyLimit, UpstreamFault } from './upstream-fault.ts'
import type { ExchangeHandler, UpstreamRequest, UpstreamTarget } from './exchange-types.ts'
import { type QuotaRefusal, SharedQuota } from './shared-quota.ts'
import { WaitQueue } from './wait-queue.ts'

/** An exchange that has carried bytes for so long is a long one: a slow upload, a slow download, a followed result. */
const longAfterMs = 5000

export interface PoolOptions extends ConnectionTimeouts {
  readonly maxConnections: number
  /** Exchanges that wait for a connection; one more is `busy`. */
  readonly maxWaiting: number
  /** Most of both that one client may hold, in percent of what the others leave free. Default 100: all of them. */
  readonly clientSharePercent?: number
  /** How long a connection is used for further exchanges. Default: without end. */
  readonly maxConnectionLifeMs?: number
}

export type UpstreamPool = Omit<ConnectionPool, 'dropIdle'>

/**
 * The connections to one target, kept alive between exchanges. The one used last is used first, so that those too many
 * grow old and are closed. Long exchanges have slots of their own, which all pools share, and leave the ordinary ones to
 * others.
 */
export class ConnectionPool {
  readonly target: UpstreamTarget
  readonly #connections = new Set<UpstreamConnection>()
  readonly #idle: UpstreamConnection[] = []
  /** Connections of ordinary exchanges under way, by their clients. */
  readonly #ordinary = new SharedQuota()
  readonly #longSlots: SharedQuota | undefined
  readonly #long = new Set<UpstreamConnection>()
  readonly #waiting = new WaitQueue()
  readonly #owner = {
    closes: false,
    timeouts: (): PoolOptions => this.#options,
    freed: (connection: UpstreamConnection): void => this.#freed(connection),
    gone: (connection: UpstreamConnection): void => this.#gone(connection),
    setAside: (connection: UpstreamConnection): QuotaRefusal | undefined => this.#setAside(connection),
  }
  #options: PoolOptions
  #timer: NodeJS.Timeout | undefined
  #closing = false

  /** `longSlots`: for event streams and other long exchanges; without it they are as all others. */
  constructor(target: UpstreamTarget, options: PoolOptions, longSlots?: SharedQuota) {
    this.target = target
    this.#options = options
    this.#longSlots = longSlots
    this.configure(options)
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

  /** Begins an exchange. Faults reach the handler, after this has returned. */
  exchange(request: UpstreamRequest, handler: ExchangeHandler): Exchange {
    const exchange = new Exchange(request, handler)
    const isAside = this.#mayGoAside(request)
    const mayBegin = isAside || this.#ordinary.refusal(request.client) === undefined
    const idle = mayBegin ? this.#takeIdle() : undefined
    if (idle) this.#begin(exchange, idle)
    else if (isAside || (mayBegin && this.#hasRoom)) this.#connect(exchange)
    else this.#wait(exchange)
    return exchange
  }

  /** Takes effect for what begins from now on. */
  configure(options: PoolOptions): void {
    const { maxConnections: max, clientSharePercent = 100 } = options
    this.#options = options
    this.#ordinary.configure({ max, clientSharePercent })
    this.#connectWaiting()
  }

  /** Closes idle connections at once, busy ones when their answer is out. */
  close(): void {
    this.#closing = true
    this.dropIdle()
    for (const exchange of this.#waiting.all()) this.#refuse(exchange)
    this.#restIfEmpty()
  }

  /** Closes idle connections: the next exchanges get new ones. */
  dropIdle(): void {
    for (const connection of this.#idle.splice(0)) connection.drop()
  }

  /** Connections that may carry ordinary exchanges, or do. */
  get #hasRoom(): boolean {
    return this.#connections.size - this.#long.size < this.#options.maxConnections
  }

  #begin(exchange: Exchange, connection: UpstreamConnection): void {
    this.#hold(exchange, connection)
    exchange.isReused = true
    exchange.begin(connection)
  }

  #connect(exchange: Exchange): void {
    const connection = UpstreamConnection.to(this.target, exchange, this.#owner)
    this.#connections.add(connection)
    this.#hold(exchange, connection)
    this.#watch()
  }

  /** Whether it takes a slot for long exchanges from the start. */
  #mayGoAside({ isLong, client }: UpstreamRequest): boolean {
    return isLong === true && this.#longSlots !== undefined && this.#longSlots.refusal(client) === undefined
  }

  #hold({ request }: Exchange, connection: UpstreamConnection): void {
    const { client } = request
    const isLong = this.#mayGoAside(request)
    const quota = isLong ? this.#longSlots : this.#ordinary
    quota?.take(client)
    if (isLong) this.#long.add(connection)
    connection.lease = { client, isLong }
  }

  /** The connection carries nothing for its client any more. */
  #release(connection: UpstreamConnection): void {
    const { lease } = connection
    if (lease === undefined) return
    connection.lease = undefined
    this.#long.delete(connection)
    const quota = lease.isLong ? this.#longSlots : this.#ordinary
    quota?.release(lease.client)
  }

  #setAside(connection: UpstreamConnection): QuotaRefusal | undefined {
    const { lease } = connection
    if (lease === undefined || lease.isLong || this.#longSlots === undefined) return undefined
    const refusal = this.#longSlots.take(lease.client)
    if (refusal !== undefined) return refusal
    this.#ordinary.release(lease.client)
    connection.lease = { client: lease.client, isLong: true }
    this.#long.add(connection)
    this.#connectWaiting()
    return undefined
  }

  #wait(exchange: Exchange): void {
    const { client } = exchange.request
    const { maxWaiting, connectTimeoutMs } = this.#options
    const isFull = this.#waiting.size >= maxWaiting || this.#waitingShare(client) <= this.#waiting.ofClient(client)
    if (this.#closing || isFull) {
      const fault = this.#busy(client)
      queueMicrotask(() => exchange.fail(fault))
      return
    }
    this.#waiting.add(exchange, performance.now() + connectTimeoutMs)
    this.#watch()
  }

  /** How many of one client may wait: as for connections, its share of what others leave free. */
  #waitingShare(client: string | undefined): number {
    const { maxWaiting, clientSharePercent = 100 } = this.#options
    if (client === undefined) return maxWaiting
    const leftByOthers = maxWaiting - this.#waiting.size + this.#waiting.ofClient(client)
    return Math.max(1, Math.floor((leftByOthers * clientSharePercent) / 100))
  }

  #freed(connection: UpstreamConnection): void {
    this.#release(connection)
    // There may be too many since `configure`, or since a long exchange is over.
    const isSurplus = this.#connections.size - this.#long.size > this.#options.maxConnections
    const isOld = performance.now() - connection.madeMs > (this.#options.maxConnectionLifeMs ?? Infinity)
    const next = isSurplus || isOld ? undefined : this.#nextWaiting()
    if (next) this.#begin(next, connection)
    else if (isSurplus || isOld || this.#closing) connection.drop()
    else this.#idle.push(connection)
    // Its client may have a connection again, which can be another one.
    if (this.#waiting.size > 0) this.#connectWaiting()
  }

  #gone(connection: UpstreamConnection): void {
    this.#release(connection)
    this.#connections.delete(connection)
    const at = this.#idle.indexOf(connection)
    if (at >= 0) this.#idle.splice(at, 1)
    this.#connectWaiting()
    this.#restIfEmpty()
  }

  #connectWaiting(): void {
    while (this.#waiting.size > 0) {
      const idle = this.#takeIdle()
      const next = idle !== undefined || this.#hasRoom ? this.#nextWaiting() : undefined
      if (next === undefined) {
        if (idle) this.#idle.push(idle)
        return
      }
      if (idle) this.#begin(next, idle)
      else this.#connect(next)
    }
  }

  /** When this process has stood still, servers may have closed connections that it still takes for idle. */
  #takeIdle(): UpstreamConnection | undefined {
    if (this.#idle.length === 0) return undefined
    const nowMs = performance.now()
    for (;;) {
      const connection = this.#idle.pop()
      if (connection?.checkDeadline(nowMs) !== true) return connection
    }
  }

  #nextWaiting(): Exchange | undefined {
    if (this.#waiting.size === 0) return undefined
    return this.#waiting.next((client) => this.#ordinary.refusal(client) === undefined)
  }

  /** Unless it has got a connection, or was given up, before its turn. */
  #refuse(exchange: Exchange): void {
    if (!this.#waiting.has(exchange)) return
    this.#waiting.delete(exchange)
    exchange.fail(this.#busy(exchange.request.client))
  }

  #busy(client: string | undefined): UpstreamFault {
    const limit: BusyLimit = this.#ordinary.refusal(client) === 'client' ? 'client_share' : 'connections'
    return new UpstreamFault('busy', 'no connection was free in time', undefined, limit)
  }

  #watch(): void {
    this.#timer ??= lookRegularly(this.#look)
  }

  readonly #look = (nowMs: number): void => {
    const check = (connection: UpstreamConnection): void => {
      connection.checkDeadline(nowMs)
      if (connection.lasts(nowMs) > longAfterMs) this.#setAside(connection)
    }
    const refuse = (exchange: Exchange): void => this.#refuse(exchange)
    spread(this.#connections.values(), check, () =>
      spread(this.#waiting.late(nowMs).values(), refuse, () => this.#restIfEmpty()),
    )
  }

  #restIfEmpty(): void {
    if (this.#connections.size > 0 || this.#waiting.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
