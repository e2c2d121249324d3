import type { Socket } from 'node:net'
import type { AnswerHead, RawFields } from '../http1/exchange-types.ts'
import type { ProxyError } from '@ipfleet/core/proxy-error.ts'

export type AnswerStart = Pick<AnswerHead, 'status' | 'reason' | 'framing'>

/** The client's side of an exchange: how an answer reaches it, whatever version of HTTP it speaks. */
export interface ClientAnswer {
  /** Whether the head of the final answer is out. */
  readonly begun: boolean
  /** Whether the client has left. */
  readonly gone: boolean
  /** Whether the client is there and has not taken yet what was written. */
  readonly pending: boolean
  interim(status: number, fields: RawFields): void
  /** The head with the complete body. */
  whole(start: Omit<AnswerStart, 'framing'>, fields: RawFields, body: Buffer): void
  head(start: AnswerStart, fields: RawFields): void
  /** False: wait for `clientReads`. */
  write(chunk: Buffer): boolean
  end(trailers: RawFields): void
  /** An answer of our own. After `begun` it cuts. */
  error(error: ProxyError, fields: RawFields): void
  /** Ends what was begun so that the client sees that it is not all. */
  cut(): void
  /** The request was not read to its end: after this answer nothing more can come this way. */
  closeAfter(): void
  /**
   * An object, not functions: closures kept here make V8 14 (Node 26.10) hold every answer until the next full
   * collection, ten times the work for its collector.
   */
  listener: AnswerListener
}

export interface AnswerListener {
  /** The client takes more. */
  clientReads(): void
  /** The answer is out, or the client has left. */
  clientGone(): void
}

export const noListener: AnswerListener = { clientReads() {}, clientGone() {} }

/** What an upgrade brings: the connection itself, and what came on it behind the request. */
export interface UpgradeOffer {
  readonly socket: Socket
  readonly early: Buffer
  /** Gives the connection away; no answer can follow. */
  detach(): void
}
