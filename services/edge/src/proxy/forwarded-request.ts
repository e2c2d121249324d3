import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { ProxyError } from '@ipfleet/errors/proxy-error.ts'
import type { HopFault } from '@ipfleet/hop/hop-fault.ts'
import type { AnswerHead, Exchange, HopHandler, HopRequest, RawFields } from '@ipfleet/hop/hop.ts'
import type { Tunnels } from '@ipfleet/hop/tunnels.ts'
import type { OnwardFields } from '@ipfleet/http/onward-fields.ts'
import type { RetryBudget } from '../upstreams/retry-budget.ts'
import type { AttemptEnd, Member, UpstreamGroup } from '../upstreams/upstream-group.ts'
import type { AttemptsRecord } from './attempts-record.ts'
import { type AnswerListener, type ClientAnswer, noListener, type UpgradeOffer } from '@ipfleet/relay/client-answer.ts'
import { linesOf } from '@ipfleet/relay/h1-answer.ts'
import { passedFields } from '@ipfleet/relay/passed-fields.ts'
import { type Client, requestHead, requestIdOf } from './request-head.ts'
import { blamesBackend, errorOf, mayRetry } from './retry-rules.ts'
import type { StallWatch, Watched } from '@ipfleet/relay/stall-watch.ts'
import { bodyOf, Upload, type UploadLimits } from '@ipfleet/relay/upload.ts'

/** What all requests of one configuration share. */
export interface ForwardParts {
  readonly tunnels: Tunnels
  readonly stalls: StallWatch
  readonly budget: RetryBudget
  /** Further backends that one request may try. */
  readonly attempts: number
  readonly sendTimeoutMs: number
  readonly showBackend: boolean
  /** Counts attempts and retries. */
  readonly record: AttemptsRecord
}

/** One request, checked and admitted. */
export interface AdmittedRequest {
  readonly req: IncomingMessage
  readonly answer: ClientAnswer
  readonly method: string
  readonly target: string
  readonly fields: OnwardFields
  readonly client: Client
  readonly group: UpstreamGroup
  readonly hostOf: 'client' | 'backend'
  readonly limits: UploadLimits
  /** Of the body; 0: no limit. */
  readonly maxBodyBytes: number
  /** Set on the answer, whoever it is from. */
  readonly answerFields: RawFields
  readonly upgrade: UpgradeOffer | undefined
  /** Called once. */
  readonly onEnd: (end: ForwardEnd) => void
}

export interface ForwardEnd {
  /** What the client got; 499 if it left before. */
  readonly status: number
  readonly requestId: string
  /** Who answered, or was asked last. */
  readonly backend: string | undefined
  readonly retries: number
  readonly fault: HopFault | undefined
}

/** The status of a client that left before its answer was out, as nginx has it. */
export const CLIENT_LEFT = 499

/** A request on its way to a backend and its answer on the way back. It reads from `start` on. */
export class ForwardedRequest implements HopHandler, AnswerListener, Watched {
  readonly #parts: ForwardParts
  readonly #of: AdmittedRequest
  readonly #requestId: string
  readonly #body: HopRequest['body']
  readonly #upload: Upload | undefined
  readonly #tried: Member[] = []
  #member: Member | undefined
  #exchange: Exchange | undefined
  #retries = 0
  #fault: HopFault | undefined
  #status = 0
  #ended = false
  /** Since when the client leaves unread what was written. */
  #unreadSinceMs: number | undefined

  constructor(parts: ForwardParts, request: AdmittedRequest) {
    this.#parts = parts
    this.#of = request
    this.#requestId = requestIdOf(request.fields)
    this.#body = bodyOf(request.req, request.fields)
    const hasBody = this.#body !== 'none' && this.#body !== 0
    this.#upload = hasBody
      ? new Upload(request.req, request.limits, request.maxBodyBytes, () => this.#tooLarge())
      : undefined
  }

  start(): void {
    this.#of.answer.listener = this
    if (this.#upload) this.#parts.stalls.add(this)
    this.#parts.budget.request()
    const member = this.#of.group.next(this.#of.target, this.#tried)
    if (member) this.#ask(member)
    else this.#refuse(this.#noBackend())
  }

  #ask(member: Member): void {
    const { method, target, req, fields, client, hostOf, upgrade } = this.#of
    this.#member = member
    this.#tried.push(member)
    const host = hostOf === 'client' && fields.host !== '' ? fields.host : member.authority
    const named = { host, requestId: this.#requestId }
    this.#exchange = member.pool.exchange(
      {
        method,
        head: requestHead({ method, target, httpVersion: req.httpVersion }, fields, client, named),
        body: this.#body,
        upgrade: upgrade && fields.upgrade,
        takesTrailers: fields.takesTrailers,
      },
      this,
    )
    this.#upload?.sendBy(this.#exchange)
  }

  drained(): void {
    this.#upload?.drained()
  }

  interim(status: number, reason: string, fields: RawFields): void {
    this.#of.answer.interim(status, reason, fields)
  }

  answered(head: AnswerHead, whole: Buffer | undefined): void {
    const { answer } = this.#of
    this.#status = head.status
    // A backend that answers in the middle of a body may go on reading it, unless it has refused it.
    if (this.#upload?.complete === false && (whole !== undefined || head.status >= 400)) this.#giveUpUpload()
    if (this.#of.upgrade) answer.closeAfter()
    const fields = this.#answerFields(head)
    if (whole === undefined) answer.head(head, fields)
    else {
      answer.whole(head, fields, whole)
      this.#done()
    }
  }

  data(chunk: Buffer): void {
    if (this.#of.answer.write(chunk)) return
    this.#exchange?.pause()
    this.#unread()
  }

  ended(trailers: RawFields): void {
    if (this.#upload?.complete === false) this.#giveUpUpload()
    this.#of.answer.end(trailers)
    this.#done()
  }

  switched(head: AnswerHead, socket: Duplex, early: Buffer): void {
    const { upgrade } = this.#of
    if (upgrade === undefined) {
      socket.destroy()
      return
    }
    this.#status = head.status
    this.#of.answer.listener = noListener
    upgrade.detach()
    const lines = `Connection: Upgrade\r\nUpgrade: ${head.upgrade ?? ''}\r\n${linesOf(this.#answerFields(head))}`
    upgrade.socket.write(`HTTP/1.1 101 ${head.reason}\r\n${lines}\r\n`, 'latin1')
    // `open` of a hop makes sockets only.
    const toServer = socket as Socket
    this.#parts.tunnels.join(upgrade.socket, toServer, { fromClient: upgrade.early, fromServer: early }, () => {
      this.#end('answered')
    })
  }

  failed(fault: HopFault): void {
    const { answer, method } = this.#of
    const member = this.#member
    this.#exchange = undefined
    this.#member = undefined
    this.#fault = fault
    if (member) this.#release(member, blamesBackend(fault) ? 'failed' : 'unknown')
    if (answer.begun) {
      answer.cut()
      this.#end('failed')
      return
    }
    const next = mayRetry(fault, method, this.#upload !== undefined) ? this.#nextMember(fault) : undefined
    if (next) {
      this.#retries += 1
      this.#parts.record.retry(fault.kind)
      this.#ask(next)
    } else this.#refuse(errorOf(fault))
  }

  checkStall(nowMs: number): void {
    if (this.#upload?.isLate(nowMs) === true) {
      this.#abandon()
      this.#refuse(new ProxyError('request_timeout'))
    } else if (this.#unreadSinceMs !== undefined && nowMs - this.#unreadSinceMs > this.#parts.sendTimeoutMs) {
      this.#of.answer.cut()
    }
  }

  /** Another backend; or the same by a new connection, when it is alone and only a kept one has died. */
  #nextMember(fault: HopFault): Member | undefined {
    const { group, target } = this.#of
    if (this.#retries >= this.#parts.attempts || !this.#parts.budget.take()) return undefined
    return group.next(target, this.#tried) ?? (fault.kind === 'lost' ? group.next(target, []) : undefined)
  }

  #answerFields(head: AnswerHead): RawFields {
    const { answerFields, req } = this.#of
    const fields = passedFields(head, req.httpVersion)
    const member = this.#parts.showBackend ? this.#member : undefined
    if (member) fields.push('X-Backend', member.id)
    if (answerFields.length > 0) fields.push(...answerFields)
    return fields
  }

  /** All of the answer has been handed over; if the client takes its time over it, it is watched. */
  #done(): void {
    this.#exchange = undefined
    if (this.#of.answer.pending) this.#unread()
    this.#end('answered')
  }

  #unread(): void {
    this.#unreadSinceMs ??= performance.now()
    this.#parts.stalls.add(this)
  }

  clientReads(): void {
    this.#unreadSinceMs = undefined
    this.#exchange?.resume()
  }

  clientGone(): void {
    this.#unreadSinceMs = undefined
    this.#parts.stalls.delete(this)
    if (this.#ended) return
    this.#status = CLIENT_LEFT
    this.#abandon()
    this.#end('unknown')
  }

  #tooLarge(): void {
    this.#abandon()
    this.#refuse(new ProxyError('payload_too_large'))
  }

  #abandon(): void {
    this.#exchange?.abort()
    this.#exchange = undefined
  }

  #giveUpUpload(): void {
    this.#upload?.stop()
    this.#of.answer.closeAfter()
  }

  #refuse(error: ProxyError): void {
    const { answer, answerFields } = this.#of
    if (this.#upload?.complete === false) this.#giveUpUpload()
    if (this.#of.upgrade) answer.closeAfter()
    this.#status = error.status
    answer.error(error, answerFields)
    this.#end('unknown')
  }

  #noBackend(): ProxyError {
    return new ProxyError('no_backend', { retryAfterSeconds: this.#of.group.retryAfterSeconds() })
  }

  #release(member: Member, end: AttemptEnd): void {
    this.#of.group.done(member, end)
    this.#parts.record.end(member.id, end)
  }

  #end(end: AttemptEnd): void {
    if (this.#ended) return
    this.#ended = true
    if (this.#unreadSinceMs === undefined) this.#parts.stalls.delete(this)
    const member = this.#member
    if (member) this.#release(member, end)
    this.#of.onEnd({
      status: this.#status,
      requestId: this.#requestId,
      backend: (member ?? this.#tried.at(-1))?.id,
      retries: this.#retries,
      fault: this.#fault,
    })
  }
}
