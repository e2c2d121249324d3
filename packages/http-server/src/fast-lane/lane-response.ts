import type { ServerResponse } from 'node:http'
import { http } from '@ipfleet/core/node-http.ts'
import type { ResponseWriter } from '../response-writer.ts'
import type { LaneExchange, LaneListener } from './lane-exchange.ts'

/**
 * A response of the fast lane. A small answer that leaves the connection open is one write, past node:http. Every other
 * one is made by a `ServerResponse`: an error, a large body, the last answer of a connection, one to which fields were
 * added, and what node:http has to check or to encode.
 */
export class LaneResponse implements ResponseWriter, LaneListener {
  readonly #exchange: LaneExchange
  #head: { readonly status: number; readonly fields: string[] } | undefined
  #closeListeners: (() => void)[] = []
  #isWritten = false
  #isFinished = false
  #node: ServerResponse | undefined

  constructor(exchange: LaneExchange) {
    this.#exchange = exchange
    exchange.listener = this
  }

  get headersSent(): boolean {
    return this.#isWritten || this.#node?.headersSent === true
  }

  get destroyed(): boolean {
    return this.#exchange.socket.destroyed
  }

  get writableFinished(): boolean {
    return this.#isFinished || this.#node?.writableFinished === true
  }

  get statusCode(): number {
    return this.#node?.statusCode ?? this.#head?.status ?? 200
  }

  set statusCode(status: number) {
    this.#asNode().statusCode = status
  }

  setHeader(name: string, value: string | number): void {
    this.#asNode().setHeader(name, value)
  }

  appendHeader(name: string, value: string): void {
    this.#asNode().appendHeader(name, value)
  }

  hasHeader(name: string): boolean {
    return this.#node?.hasHeader(name) === true
  }

  removeHeader(name: string): void {
    this.#node?.removeHeader(name)
  }

  writeHead(status: number, fields: string[]): void {
    if (this.#node) this.#node.writeHead(status, fields)
    else this.#head = { status, fields }
  }

  end(body: string | Buffer | undefined, encoding: BufferEncoding = 'utf8'): void {
    const answer = this.#node ? undefined : this.#whole(body, encoding)
    if (answer === undefined) this.#asNode().end(body, encoding)
    else this.#write(answer)
  }

  once(event: 'close', listener: () => void): void {
    if (this.#node) this.#node.once(event, listener)
    else this.#closeListeners.push(listener)
  }

  destroy(): void {
    this.#exchange.socket.destroy()
  }

  closed(): void {
    this.#isFinished ||= this.#isWritten && !this.destroyed
    const listeners = this.#closeListeners
    this.#closeListeners = []
    for (const listener of listeners) listener()
  }

  /** The answer in latin1; undefined where node:http has to make it. */
  #whole(body: string | Buffer | undefined, encoding: BufferEncoding): string | undefined {
    if (this.#head === undefined || !this.#exchange.staysOpen) return undefined
    const { status, fields } = this.#head
    const hasBody = typeof body === 'string' && encoding === 'latin1' && fields.includes('Content-Length')
    if (!hasBody && !(body === undefined && status === 304)) return undefined
    let lines = ''
    for (let index = 0; index + 1 < fields.length; index += 2) {
      const value = fields[index + 1] ?? ''
      if (!plainValue.test(value)) return undefined
      lines += `${fields[index]}: ${value}\r\n`
    }
    const start = `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\n`
    return `${start}${lines}${this.#exchange.connectionFields().all}\r\n${body ?? ''}`
  }

  #write(answer: string): void {
    const { socket } = this.#exchange
    this.#isWritten = true
    this.#exchange.end(answer)
    // Else the exchange calls `closed` later.
    if (socket.writable && !socket.writableNeedDrain) this.closed()
  }

  #asNode(): ServerResponse {
    if (this.#node !== undefined) return this.#node
    const node = this.#exchange.response()
    this.#node = node
    for (const listener of this.#closeListeners) node.once('close', listener)
    if (this.#head) node.writeHead(this.#head.status, this.#head.fields)
    return node
  }
}

/** What node:http need not check. */
const plainValue = /^[!-~](?:[ -~]*[!-~])?$/
