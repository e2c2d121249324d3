import type { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { LaneExchange, LaneListener } from '@ipfleet/http-server/fast-lane/lane-exchange.ts'
import { isNamed, type RawFields } from '../http1/raw-fields.ts'
import { type AnswerListener, type AnswerStart, type ClientAnswer, noListener } from './client-answer.ts'
import { H1Answer, maxInOneWrite } from './h1-answer.ts'

/** To a client of the fast lane. A whole answer is one write; every other one is made as for any HTTP/1 client. */
export class FastLaneAnswer implements ClientAnswer, LaneListener {
  readonly #exchange: LaneExchange
  #listener = noListener
  #isOut = false
  #slow: H1Answer | undefined

  constructor(exchange: LaneExchange) {
    this.#exchange = exchange
    exchange.listener = this
  }

  closed(): void {
    if (this.#slow === undefined) this.#listener.clientGone()
  }

  get listener(): AnswerListener {
    return this.#listener
  }

  set listener(listener: AnswerListener) {
    this.#listener = listener
    if (this.#slow) this.#slow.listener = listener
  }

  get begun(): boolean {
    return this.#isOut || this.#slow?.begun === true
  }

  get gone(): boolean {
    return this.#exchange.socket.destroyed
  }

  get pending(): boolean {
    // Only then does `closed` tell that the client has taken it.
    return this.#slow?.pending ?? this.#exchange.socket.writableNeedDrain
  }

  interim(status: number, fields: RawFields): void {
    this.#asH1().interim(status, fields)
  }

  whole(start: Omit<AnswerStart, 'framing'>, fields: RawFields, body: Buffer): void {
    const exchange = this.#exchange
    if (!exchange.staysOpen || body.length > maxInOneWrite) return this.#asH1().whole(start, fields, body)
    const { date, connection } = exchange.connectionFields()
    let lines = ''
    let hasDate = false
    for (let index = 0; index + 1 < fields.length; index += 2) {
      const name = fields[index] ?? ''
      lines += `${name}: ${fields[index + 1] ?? ''}\r\n`
      hasDate ||= isNamed(name, 'date')
    }
    const { status, reason } = start
    const head = `HTTP/1.1 ${status} ${reason}\r\n${lines}${hasDate ? '' : date}${connection}\r\n`
    this.#isOut = true
    exchange.end(body.length === 0 ? head : head + body.toString('latin1'))
  }

  head(start: AnswerStart, fields: RawFields): void {
    this.#asH1().head(start, fields)
  }

  write(chunk: Buffer): boolean {
    return this.#asH1().write(chunk)
  }

  end(trailers: RawFields): void {
    this.#asH1().end(trailers)
  }

  error(error: ProxyError, fields: RawFields): void {
    this.#asH1().error(error, fields)
  }

  cut(): void {
    if (this.#isOut) this.#exchange.socket.destroy()
    else this.#asH1().cut()
  }

  closeAfter(): void {
    this.#asH1().closeAfter()
  }

  #asH1(): H1Answer {
    if (this.#slow !== undefined) return this.#slow
    const slow = new H1Answer(this.#exchange.response())
    slow.listener = this.#listener
    this.#slow = slow
    return slow
  }
}
