import type { Socket } from 'node:net'
import { UpstreamConnection, type ConnectionOwner } from './upstream-connection.ts'
import type { ExchangeTimeouts } from './connection-timeouts.ts'
import { Exchange } from './exchange.ts'
import { DeadlineWatch } from '@ipfleet/core/deadline-watch.ts'
import { UpstreamFault } from './upstream-fault.ts'
import type { ExchangeHandler, UpstreamRequest } from './exchange-types.ts'

const underWay = new DeadlineWatch()

/**
 * One exchange over a socket that is connected already, half-open allowed, which is closed after it; a request to switch
 * protocols hands it over as `switched`. The socket must have no listeners of others. Faults reach the handler, after
 * this has returned.
 */
export function exchangeOver(
  socket: Socket,
  request: UpstreamRequest,
  handler: ExchangeHandler,
  timeouts: ExchangeTimeouts,
): Exchange {
  const exchange = new Exchange(request, handler)
  if (socket.destroyed) {
    // It would say so no more.
    queueMicrotask(() => exchange.fail(new UpstreamFault('unreachable', 'the connection ended before the request')))
    return exchange
  }
  // It is connected when it comes, and never idle.
  const all = { ...timeouts, connectTimeoutMs: 0, keepAliveMs: 0 }
  underWay.add(UpstreamConnection.over(socket, exchange, { ...sole, timeouts: () => all }))
  // The reader of its first bytes may have paused it.
  socket.resume()
  return exchange
}

const sole = {
  closes: true,
  freed: (connection) => connection.drop(),
  setAside: () => undefined,
  gone: (connection) => underWay.delete(connection),
} satisfies Omit<ConnectionOwner, 'timeouts'>
