import type { Socket } from 'node:net'
import { errorCode } from '@ipfleet/core/error-code.ts'
import { AnswerReader, type AnswerSink } from './answer-reader.ts'
import { BodyWrites } from './body-writes.ts'
import { asksForFurtherStep } from './connection-login.ts'
import type { ConnectionTimeouts } from './connection-timeouts.ts'
import type { Exchange } from './exchange.ts'
import { UpstreamFault, type UpstreamFaultKind } from './upstream-fault.ts'
import type { ParsedHead } from './answer-head.ts'
import type { AnswerHead, UpstreamTarget, RawFields } from './exchange-types.ts'
import { openSocket } from './open-socket.ts'
import { framingLines, lastChunk } from './request-framing.ts'
import type { QuotaRefusal } from './shared-quota.ts'

/** What a connection tells its owner, each when its own state is settled, and asks it. */
export interface ConnectionOwner {
  /** Whether each of them is for one exchange only; the server is told so. */
  readonly closes: boolean
  /** Those for an exchange that begins now. */
  timeouts(): ConnectionTimeouts
  /** Ready for the next exchange. */
  freed(connection: UpstreamConnection): void
  /** Gone, or no longer the owner's: a tunnel. */
  gone(connection: UpstreamConnection): void
  /** Its exchange takes a slot for long ones, if there is one. */
  setAside(connection: UpstreamConnection): QuotaRefusal | undefined
}

/** The client that uses a connection, and whether in a slot for long exchanges. */
export interface ConnectionLease {
  readonly client: string | undefined
  readonly isLong: boolean
}

type Phase =
  | 'connecting'
  /** Without an exchange. */
  | 'idle'
  /** The request's body is still coming. */
  | 'sending'
  | 'awaiting'
  | 'receiving'
  | 'gone'

/** One connection to a target, with at most one exchange at a time on it. */
export class UpstreamConnection {
  /** Its owner's. */
  lease: ConnectionLease | undefined
  /** `performance.now()` */
  readonly madeMs = performance.now()
  readonly #socket: Socket
  readonly #owner: ConnectionOwner
  readonly #reader: AnswerReader
  #timeouts: ConnectionTimeouts
  #exchange: Exchange | undefined
  #phase: Phase = 'connecting'
  /** `performance.now()` at which the phase has lasted too long. */
  #deadlineMs: number
  /** Since when it carries its exchange. */
  #sinceMs = 0
  #writes: BodyWrites | undefined
  /** Whether the body may be waiting for the server to say 100. */
  #isAskedToGoOn = false
  /** How long the server keeps it idle, by its last answer. */
  #keptMs = Infinity
  /** Whether its server may take all that follows for the client of its last exchange. */
  #isLoggedIn = false

  private constructor(socket: Socket, exchange: Exchange, owner: ConnectionOwner) {
    this.#owner = owner
    this.#timeouts = owner.timeouts()
    this.#deadlineMs = performance.now() + this.#timeouts.connectTimeoutMs
    this.#exchange = exchange
    const sink: AnswerSink = {
      interim: (head) => this.#interim(head),
      answered: (head, whole, rest, isReusable) => this.#answered(head, whole, rest, isReusable),
      data: (chunk) => this.#exchange?.tell((handler) => handler.data(chunk)),
      ended: (trailers, rest, isReusable) => this.#ended(trailers, rest, isReusable),
      switched: (head, early) => this.#switched(head, early),
    }
    this.#reader = new AnswerReader(sink, owner.closes ? 'tolerant' : 'strict')
    this.#socket = socket
    this.#listen()
  }

  /** Connects, and begins the exchange then; what it writes until then is kept. */
  static to(target: UpstreamTarget, exchange: Exchange, owner: ConnectionOwner): UpstreamConnection {
    const socket = openSocket(target)
    const connection = new UpstreamConnection(socket, exchange, owner)
    socket.once(target.tls === undefined ? 'connect' : 'secureConnect', connection.#onConnected)
    return connection
  }

  /** Takes over a socket that is connected, and begins the exchange at once. */
  static over(socket: Socket, exchange: Exchange, owner: ConnectionOwner): UpstreamConnection {
    const connection = new UpstreamConnection(socket, exchange, owner)
    exchange.begin(connection)
    return connection
  }

  /** Sends the head of a request. */
  send(exchange: Exchange): void {
    this.#exchange = exchange
    this.#timeouts = this.#owner.timeouts()
    this.#sinceMs = performance.now()
    const { request, finished } = exchange
    this.#reader.expect(request.method, request.upgrade !== undefined)
    this.#enter(finished ? 'awaiting' : 'sending')
    this.#isAskedToGoOn = !finished && request.expectsContinue === true
    if (this.#isAskedToGoOn) this.#stopwatch(this.#timeouts.answerTimeoutMs)
    if (request.body !== 'none') {
      this.#writes ??= new BodyWrites(this.#socket, this.#onFailedWrite)
      this.#writes.collect()
    }
    this.#socket.write(request.head + framingLines(request, this.#owner.closes), 'latin1')
  }

  sendBody(chunk: Buffer): boolean {
    const socket = this.#socket
    this.#bodyGoesOn()
    this.#writes?.collect()
    if (this.#exchange?.request.body === 'chunked') {
      socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1')
      socket.write(chunk)
      socket.write('\r\n', 'latin1')
    } else socket.write(chunk)
    this.#timeBody(socket.writableNeedDrain)
    return !socket.writableNeedDrain
  }

  /** The server has said so, or the client has not waited for it. */
  #bodyGoesOn(): void {
    if (!this.#isAskedToGoOn) return
    this.#isAskedToGoOn = false
    if (this.#phase === 'sending') this.#deadlineMs = Infinity
  }

  /**
   * A server that takes no more of the request is given as long as one that stops in an answer; one that has begun to
   * answer may wait for the rest of the request with the rest of the answer.
   */
  #timeBody(isStuck: boolean): void {
    const isSending = this.#phase === 'sending' && isStuck && this.#deadlineMs === Infinity
    const isAnswering = this.#phase === 'receiving' && this.#deadlineMs !== Infinity
    if (isSending || isAnswering) this.#stopwatch(this.#timeouts.idleTimeoutMs)
  }

  sendEnd(trailers: RawFields): void {
    if (this.#exchange?.request.body === 'chunked') this.#socket.write(lastChunk(trailers), 'latin1')
    if (this.#phase === 'sending') this.#enter('awaiting')
  }

  /** Of an answer's body; before there is one, its exchange remembers it. */
  pause(): void {
    if (this.#phase !== 'receiving') return
    this.#socket.pause()
    // The client is slow, not the server.
    this.#deadlineMs = Infinity
  }

  resume(): void {
    if (this.#phase !== 'receiving') return
    this.#socket.resume()
    this.#stopwatch(this.#timeouts.idleTimeoutMs)
  }

  /** Closes it; its exchange, if there is one, hears nothing. */
  drop(): void {
    if (this.#phase === 'gone') return
    this.#exchange?.end()
    this.#exchange = undefined
    this.#leave()
    this.#socket.destroy()
  }

  setAside(): QuotaRefusal | undefined {
    return this.#owner.setAside(this)
  }

  /** For how long an exchange has been carrying bytes; one that waits for its answer carries none. */
  lasts(nowMs: number): number {
    return this.#phase === 'sending' || this.#phase === 'receiving' ? nowMs - this.#sinceMs : 0
  }

  /** Called now and then: ends what has lasted too long. @returns whether it has */
  checkDeadline(nowMs: number): boolean {
    if (nowMs < this.#deadlineMs) return false
    const overrun = overruns[this.#isAskedToGoOn ? 'awaiting' : this.#phase]
    const failed = this.#phase === 'receiving' ? undefined : this.#writes?.failed
    if (overrun === undefined) this.drop()
    else this.#fail(failed ? this.#broken(failed) : new UpstreamFault(...overrun))
    return true
  }

  #listen(): void {
    const socket = this.#socket
    socket.on('data', this.#onData)
    socket.on('drain', this.#onDrain)
    socket.on('end', this.#onEnd)
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
  }

  #unlisten(): void {
    const socket = this.#socket
    socket.off('data', this.#onData)
    socket.off('drain', this.#onDrain)
    socket.off('end', this.#onEnd)
    socket.off('error', this.#onError)
    socket.off('close', this.#onClose)
  }

  readonly #onConnected = (): void => {
    const exchange = this.#exchange
    if (exchange?.over === false) exchange.begin(this)
    else {
      // Its client has left; others may use the connection.
      this.#exchange = undefined
      this.#enter('idle')
      this.#owner.freed(this)
    }
  }

  readonly #onData = (bytes: Buffer): void => {
    if (this.#phase === 'idle') {
      // An unsolicited answer must not become that of the next request.
      this.drop()
      return
    }
    if (this.#phase === 'receiving') this.#stopwatch(this.#timeouts.idleTimeoutMs)
    try {
      this.#reader.push(bytes)
    } catch (error) {
      this.#fail(
        error instanceof UpstreamFault ? error : new UpstreamFault('garbled', 'the answer could not be read', error),
      )
    }
  }

  readonly #onDrain = (): void => {
    if (this.#phase === 'sending' && !this.#isAskedToGoOn) this.#deadlineMs = Infinity
    this.#exchange?.tell((handler) => handler.drained())
  }

  readonly #onFailedWrite = (error: Error): void => {
    // An idle connection has nothing to read, and that of a tunnel is no longer this one's.
    if (this.#exchange === undefined) this.#socket.destroy(error)
    if (this.#phase === 'sending' || this.#phase === 'awaiting') this.#stopwatch(readOnMs)
  }

  readonly #onEnd = (): void => {
    if (this.#phase === 'receiving' && this.#reader.endsWithConnection) {
      this.#ended([], nothing, false)
      return
    }
    this.#fail(this.#broken(this.#writes?.failed))
  }

  readonly #onError = (error: Error): void => {
    const exchange = this.#exchange
    // A server that closes without having read all of a request resets the connection (RFC 9112 §9.6).
    const isAnswered = this.#phase === 'receiving' && exchange?.finished === false && this.#reader.endsWithConnection
    if (isAnswered && errorCode(error) === 'ECONNRESET') this.#ended([], nothing, false)
    else this.#fail(this.#broken(this.#writes?.failed ?? error))
  }

  readonly #onClose = (): void => {
    this.#fail(this.#broken(this.#writes?.failed))
  }

  #broken(cause?: Error): UpstreamFault {
    if (this.#phase === 'connecting') return new UpstreamFault('unreachable', 'no connection could be made', cause)
    return this.#reader.hasBegun
      ? new UpstreamFault('cut', 'the connection ended in the middle of the answer', cause)
      : new UpstreamFault('lost', 'the connection ended before an answer', cause)
  }

  #interim({ status, reason, fields }: AnswerHead): void {
    if (status === 100) this.#bodyGoesOn()
    this.#exchange?.tell((handler) => handler.interim(status, reason, fields))
  }

  #answered(head: ParsedHead, whole: Buffer | undefined, rest: Buffer, isReusable: boolean): void {
    const exchange = this.#exchange
    if (exchange === undefined) return
    this.#keptMs = head.keepsForMs ?? Infinity
    this.#isLoggedIn = exchange.request.logsInConnection === true && !asksForFurtherStep(head)
    if (whole !== undefined) this.#settle(exchange, isReusable && rest.length === 0)
    else {
      this.#enter('receiving')
      if (exchange.paused) this.pause()
    }
    exchange.tell((handler) => handler.answered(head, whole))
  }

  #ended(trailers: RawFields, rest: Buffer, isReusable: boolean): void {
    const exchange = this.#exchange
    if (exchange === undefined) return
    this.#settle(exchange, isReusable && rest.length === 0)
    exchange.tell((handler) => handler.ended(trailers))
  }

  /** The answer is complete. A connection that has not taken all of the request cannot carry another one. */
  #settle(exchange: Exchange, isReusable: boolean): void {
    this.#exchange = undefined
    exchange.end()
    const isSettled = exchange.finished && !this.#writes?.failed && this.#socket.writableLength === 0
    if (!isReusable || !isSettled || this.#isLoggedIn) {
      this.#leave()
      this.#socket.destroy()
      return
    }
    if (this.#socket.isPaused()) this.#socket.resume()
    this.#enter('idle')
    this.#owner.freed(this)
  }

  #switched(head: AnswerHead, early: Buffer): void {
    const exchange = this.#exchange
    if (exchange === undefined) return
    // What is left of the body would be the tunnel's.
    if (!exchange.finished)
      throw new UpstreamFault('garbled', 'the server switched protocols in the middle of the request')
    this.#exchange = undefined
    exchange.end()
    this.#unlisten()
    this.#leave()
    const isTaken = exchange.tell((handler) => handler.switched(head, this.#socket, early))
    if (!isTaken) this.#socket.on('error', () => {}).destroy()
  }

  #fail(fault: UpstreamFault): void {
    if (this.#phase === 'gone') return
    const exchange = this.#exchange
    this.#exchange = undefined
    this.#leave()
    this.#socket.destroy()
    exchange?.fail(fault)
  }

  #leave(): void {
    this.#phase = 'gone'
    this.#owner.gone(this)
  }

  #enter(phase: 'idle' | 'sending' | 'awaiting' | 'receiving'): void {
    this.#phase = phase
    this.#isAskedToGoOn = false
    if (phase === 'sending') this.#deadlineMs = Infinity
    else this.#stopwatch(this.#allowed(phase))
  }

  #allowed(phase: 'idle' | 'awaiting' | 'receiving'): number {
    const { keepAliveMs, answerTimeoutMs, idleTimeoutMs } = this.#timeouts
    // Before the server closes it: what is sent at that moment is lost, and a POST cannot be sent again.
    if (phase === 'idle') return Math.min(keepAliveMs, this.#keptMs - Math.min(marginMs, this.#keptMs / 2))
    return phase === 'awaiting' ? answerTimeoutMs : idleTimeoutMs
  }

  #stopwatch(durationMs: number): void {
    this.#deadlineMs = performance.now() + durationMs
  }
}

/** What it means that a phase has lasted too long; an idle connection is closed. */
const overruns: Partial<Readonly<Record<Phase, readonly [kind: UpstreamFaultKind, message: string]>>> = {
  connecting: ['unreachable', 'the connection was not made in time'],
  sending: ['stalled', 'the server stopped taking the request'],
  awaiting: ['silent', 'no answer in time'],
  receiving: ['stalled', 'the answer stopped in the middle'],
}

const nothing = Buffer.alloc(0)
/** By which an idle connection is given up earlier than its server says. */
const marginMs = 1000
/** For what has come before a write failed. The end of the connection is behind it, and usually there already. */
const readOnMs = 10_000
