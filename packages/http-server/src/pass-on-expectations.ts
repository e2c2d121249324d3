import type { Server } from 'node:http'

/**
 * Has requests that expect 100-continue served like others: the code that reads the body says when to go on. Any other
 * expectation is refused, also `x 100-continue`, which Node takes for that one.
 */
export function passOnExpectations(server: Server): void {
  server.on('checkContinue', (req, res) => {
    server.emit(req.headers.expect?.toLowerCase() === '100-continue' ? 'request' : 'checkExpectation', req, res)
  })
}
