import type { Duplex } from 'node:stream'
import type { UpstreamFault } from '../../src/http1/upstream-fault.ts'
import type { AnswerHead, ExchangeHandler, RawFields } from '../../src/http1/exchange-types.ts'

/** A handler that notes all that it is told. */
export class Heard implements ExchangeHandler {
  /** In the order of arrival, with neighbouring parts of the body as one. */
  readonly events: string[] = []
  readonly interims: { readonly status: number; readonly reason: string; readonly fields: RawFields }[] = []
  head: AnswerHead | undefined
  body = ''
  bodyBytes = 0
  trailers: RawFields | undefined
  fault: UpstreamFault | undefined
  switchedTo: { readonly socket: Duplex; readonly early: Buffer } | undefined
  readonly #over = Promise.withResolvers<this>()
  readonly #hooks: Partial<ExchangeHandler>

  /** Hooks are called after the event has been noted. */
  constructor(hooks: Partial<ExchangeHandler> = {}) {
    this.#hooks = hooks
  }

  /** Resolves after `answered` with a whole body, `ended`, `switched` or `failed`. */
  get over(): Promise<this> {
    return this.#over.promise
  }

  interim(status: number, reason: string, fields: RawFields): void {
    this.#note(`interim ${status}`)
    this.interims.push({ status, reason, fields })
    this.#hooks.interim?.(status, reason, fields)
  }

  answered(head: AnswerHead, whole: Buffer | undefined): void {
    this.#note(`answered ${head.status}`)
    this.head = head
    if (whole !== undefined) {
      this.body = whole.toString('latin1')
      this.bodyBytes = whole.length
      this.#over.resolve(this)
    }
    this.#hooks.answered?.(head, whole)
  }

  data(chunk: Buffer): void {
    if (this.events.at(-1) !== 'data') this.#note('data')
    this.bodyBytes += chunk.length
    // Enough to compare; a test of much data must not be what holds it.
    if (this.body.length < 1_000_000) this.body += chunk.toString('latin1')
    this.#hooks.data?.(chunk)
  }

  ended(trailers: RawFields): void {
    this.#note('ended')
    this.trailers = trailers
    this.#over.resolve(this)
    this.#hooks.ended?.(trailers)
  }

  switched(head: AnswerHead, socket: Duplex, early: Buffer): void {
    this.#note(`switched ${head.upgrade}`)
    this.head = head
    this.switchedTo = { socket, early }
    this.#over.resolve(this)
    this.#hooks.switched?.(head, socket, early)
  }

  failed(fault: UpstreamFault): void {
    this.#note(`failed ${fault.kind}`)
    this.fault = fault
    this.#over.resolve(this)
    this.#hooks.failed?.(fault)
  }

  drained(): void {
    this.#note('drained')
    this.#hooks.drained?.()
  }

  #note(event: string): void {
    this.events.push(event)
  }
}
