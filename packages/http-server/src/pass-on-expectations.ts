import type { IncomingMessage, Server } from 'node:http'

/**
 * Has requests that expect 100-continue served like others: the code that reads the body says when to go on. Any other
 * expectation is refused, also `x 100-continue`, which Node takes for that one.
 */
export function passOnExpectations(server: Server): void {
  server.on('checkContinue', (req, res) => {
    server.emit(expectsContinue(req) ? 'request' : 'checkExpectation', req, res)
  })
}

/** In any case of its letters (RFC 9110 §10.1.1): Java's HttpClient says `100-Continue`. */
export function expectsContinue({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  return headers.expect?.toLowerCase() === '100-continue'
}
