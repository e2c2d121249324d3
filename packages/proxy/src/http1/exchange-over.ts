import type { Socket } from 'node:net'
import { type ExchangeTimeouts, HopConnection, type HopConnectionOwner, type HopTimeouts } from './hop-connection.ts'
import { HopExchange } from './hop-exchange.ts'
import { HopFault } from './hop-fault.ts'
import type { Exchange, HopHandler, HopRequest } from './hop.ts'

/** How often connections are looked at: a deadline is late by up to as much, and costs no timer per exchange. */
const lookEveryMs = 100

const underWay = new Set<HopConnection>()
let timer: NodeJS.Timeout | undefined

/**
 * One exchange over a socket that is connected already, half-open allowed, which is closed after it; a request to switch
 * protocols hands it over as `switched`. The socket must have no listeners of others. Faults reach the handler, after
 * this has returned.
 */
export function exchangeOver(
  socket: Socket,
  request: HopRequest,
  handler: HopHandler,
  timeouts: ExchangeTimeouts,
): Exchange {
  const exchange = new HopExchange(request, handler)
  if (socket.destroyed) {
    // It would say so no more.
    queueMicrotask(() => exchange.fail(new HopFault('unreachable', 'the connection ended before the request')))
    return exchange
  }
  underWay.add(HopConnection.over(socket, exchange, new SoleExchange(timeouts)))
  timer ??= setInterval(look, lookEveryMs).unref()
  return exchange
}

class SoleExchange implements HopConnectionOwner {
  readonly closes = true
  readonly #timeouts: HopTimeouts

  constructor({ answerTimeoutMs, idleTimeoutMs }: ExchangeTimeouts) {
    // It is connected when it comes, and never idle.
    this.#timeouts = { answerTimeoutMs, idleTimeoutMs, connectTimeoutMs: 0, keepAliveMs: 0 }
  }

  timeouts(): HopTimeouts {
    return this.#timeouts
  }

  freed(connection: HopConnection): void {
    connection.drop()
  }

  setAside(): undefined {
    return undefined
  }

  gone(connection: HopConnection): void {
    underWay.delete(connection)
    if (underWay.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
}

function look(): void {
  const nowMs = performance.now()
  for (const connection of underWay) connection.checkDeadline(nowMs)
}
