import type { Duplex } from 'node:stream'
import type { UpstreamFault } from '../http1/upstream-fault.ts'
import type { Exchange } from '../http1/exchange.ts'
import type { AnswerHead, ExchangeHandler, RawFields } from '../http1/exchange-types.ts'

export interface HedgedRequest extends ExchangeHandler {
  /** It answers first: from here on its exchange is that of the request. */
  hedgeAnswered(exchange: Exchange): void
  hedgeFailed(fault: UpstreamFault): void
}

/**
 * A second exchange of a request whose first one is silent. Its owner hears nothing of it until it has an answer, and
 * then all, as of its own exchange.
 */
export class Hedge implements ExchangeHandler {
  exchange: Exchange | undefined
  readonly #owner: HedgedRequest
  #isHeard = false

  constructor(owner: HedgedRequest) {
    this.#owner = owner
  }

  /** The first exchange is no more: this one takes its place. */
  takeOver(): Exchange | undefined {
    this.#isHeard = true
    return this.exchange
  }

  interim(status: number, reason: string, fields: RawFields): void {
    if (this.#isHeard) this.#owner.interim(status, reason, fields)
  }

  answered(head: AnswerHead, whole: Buffer | undefined): void {
    if (!this.#isHeard && this.exchange) this.#owner.hedgeAnswered(this.exchange)
    this.#isHeard = true
    this.#owner.answered(head, whole)
  }

  data(chunk: Buffer): void {
    this.#owner.data(chunk)
  }

  ended(trailers: RawFields): void {
    this.#owner.ended(trailers)
  }

  /** Nothing that switches protocols has a hedge. */
  switched(_head: AnswerHead, socket: Duplex): void {
    socket.destroy()
  }

  failed(fault: UpstreamFault): void {
    if (this.#isHeard) this.#owner.failed(fault)
    else this.#owner.hedgeFailed(fault)
  }

  /** It has no body. */
  drained(): void {}
}
