/** What an HTTP/1.1 exchange with an upstream server consists of. */
import type { Duplex } from 'node:stream'
import type { RawFields } from './raw-fields.ts'
import type { UpstreamFault } from './upstream-fault.ts'

export type { RawFields } from './raw-fields.ts'

export interface UpstreamTarget {
  /** Or a name, which each connection looks up; not where the address was chosen when the name was resolved. */
  readonly address: string
  readonly port: number
  /** With it the connection is TLS, and the certificate must be for this name. */
  readonly tls?: { readonly servername: string } | undefined
}

export interface UpstreamRequest {
  readonly method: string
  /**
   * Request line and fields, each line with its CRLF, without the blank line at the end; Latin-1. It holds no
   * hop-by-hop field and nothing about the body's length: what those must say follows from the rest.
   */
  readonly head: string
  /** `none`, the number of bytes that will be written, or `chunked`. */
  readonly body: 'none' | 'chunked' | number
  /** Whether the body may wait for the server to say 100 (RFC 9110 §10.1.1). */
  readonly expectsContinue?: boolean
  /** The protocol to switch to, such as `websocket`. */
  readonly upgrade?: string | undefined
  readonly takesTrailers?: boolean
  /** Whether its credentials are for the connection, which is then no other client's. */
  readonly logsInConnection?: boolean
  /** The client that the request is of: clients share the connections. Undefined: no client, and no share. */
  readonly client?: string | undefined
  /** Known to last: it takes a slot for long exchanges if there is one. */
  readonly isLong?: boolean
}

/** The head of an answer, checked by RFC 9112: it can be read in one way only. */
export interface AnswerHead {
  readonly status: number
  readonly reason: string
  readonly version: '1.0' | '1.1'
  /**
   * Without hop-by-hop fields and those that Connection nominates. Content-Length is there if the server sent it.
   * The list is its receiver's own, who may add to it.
   */
  readonly fields: string[]
  /** How the body's end is known; `none` for HEAD, 204 and 304 whatever the fields say. */
  readonly framing: BodyFraming
  /** What the server offers to switch to, or with 101 has switched to. */
  readonly upgrade: string | undefined
}

export type BodyFraming = 'none' | 'chunked' | 'until-close' | number

/** Told in the order of arrival. `ended`, `switched` or `failed` is the last, but `failed` follows whatever throws. */
export interface ExchangeHandler {
  /** 100, 102, 103 and other interim answers. */
  interim(status: number, reason: string, fields: RawFields): void
  /** `whole`: the complete body, when it came with the head; then this is all there is, and `ended` is not called. */
  answered(head: AnswerHead, whole: Buffer | undefined): void
  data(chunk: Buffer): void
  ended(trailers: RawFields): void
  /** 101: from here on the connection is the caller's; `early` came together with the head. */
  switched(head: AnswerHead, socket: Duplex, early: Buffer): void
  failed(fault: UpstreamFault): void
  /** The request's body may go on being written. */
  drained(): void
}
