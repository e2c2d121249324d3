import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { exchangeOver } from '@ipfleet/hop/exchange-over.ts'
import type { HopFault } from '@ipfleet/hop/hop-fault.ts'
import type { AnswerHead, Exchange, HopHandler, HopRequest, RawFields } from '@ipfleet/hop/hop.ts'
import type { Tunnels } from '@ipfleet/hop/tunnels.ts'
import { type AnswerListener, type ClientAnswer, noListener, type UpgradeOffer } from '@ipfleet/relay/client-answer.ts'
import { linesOf } from '@ipfleet/relay/h1-answer.ts'
import type { StallWatch, Watched } from '@ipfleet/relay/stall-watch.ts'
import { Upload, type UploadLimits } from '@ipfleet/relay/upload.ts'
import type { Dialled } from '../dial/dialer.ts'
import type { Disclosure } from './forward-head.ts'
import { pseudonym, faultRefusal, type Refusal, statusFields } from './proxy-status.ts'
import type { Visit } from './visit.ts'

/** What all forwarded requests share. */
export interface ForwardParts {
  readonly tunnels: Tunnels
  readonly stalls: StallWatch
  readonly uploads: UploadLimits
  readonly answerTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly disclosure: Disclosure
  /** A status that a site gives to those it has blocked. */
  readonly onBlocked: (visit: Visit) => void
}

export interface ForwardedParts {
  readonly visit: Visit
  readonly answer: ClientAnswer
  readonly upgrade: UpgradeOffer | undefined
  /** Request line and fields for the origin. */
  readonly head: string
  readonly dialled: Extract<Dialled, { kind: 'connected' }>
}

const CLIENT_LEFT = 499
/** Forbidden, and too many requests. */
const blockedStatuses: ReadonlySet<number> = new Set([403, 429])

/** A request on its way to an origin over a connection of its own, and the answer on its way back. */
export class ForwardedRequest implements HopHandler, AnswerListener, Watched {
  readonly #parts: ForwardParts
  readonly #of: ForwardedParts
  readonly #body: HopRequest['body']
  readonly #upload: Upload | undefined
  #exchange: Exchange | undefined
  #status = 0
  #ended = false
  #unreadSinceMs: number | undefined

  constructor(parts: ForwardParts, of: ForwardedParts) {
    this.#parts = parts
    this.#of = of
    const { req, fields } = of.visit
    this.#body = fields.chunked ? 'chunked' : fields.contentLength === undefined ? 'none' : Number(fields.contentLength)
    const hasBody = this.#body !== 'none' && this.#body !== 0
    this.#upload = hasBody ? new Upload(req, parts.uploads, 0, () => {}) : undefined
  }

  start(): void {
    const { visit, answer, upgrade, head, dialled } = this.#of
    const { answerTimeoutMs, idleTimeoutMs } = this.#parts
    answer.listener = this
    if (this.#upload) this.#parts.stalls.add(this)
    const { fields, method } = visit
    const request: HopRequest = {
      method,
      head,
      body: this.#body,
      upgrade: upgrade && fields.upgrade,
      takesTrailers: fields.takesTrailers,
    }
    this.#exchange = exchangeOver(dialled.socket, request, this, { answerTimeoutMs, idleTimeoutMs })
    this.#upload?.sendBy(this.#exchange)
  }

  drained(): void {
    this.#upload?.drained()
  }

  interim(status: number, reason: string, fields: RawFields): void {
    this.#of.answer.interim(status, reason, fields)
  }

  answered(head: AnswerHead, whole: Buffer | undefined): void {
    const { answer, visit, upgrade } = this.#of
    this.#status = head.status
    if (blockedStatuses.has(head.status)) this.#parts.onBlocked(visit)
    if (this.#upload?.complete === false && (whole !== undefined || head.status >= 400)) this.#giveUpUpload()
    if (upgrade) answer.closeAfter()
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
    const { upgrade, answer } = this.#of
    if (upgrade === undefined) {
      socket.destroy()
      return
    }
    this.#status = head.status
    answer.listener = noListener
    upgrade.detach()
    const lines = `Connection: Upgrade\r\nUpgrade: ${head.upgrade ?? ''}\r\n${linesOf(this.#answerFields(head))}`
    upgrade.socket.write(`HTTP/1.1 101 ${head.reason}\r\n${lines}\r\n`, 'latin1')
    const first = { fromClient: upgrade.early, fromServer: early }
    // The dialler makes sockets only.
    this.#parts.tunnels.join(upgrade.socket, socket as Socket, first, () => this.#end())
  }

  failed(fault: HopFault): void {
    this.#exchange = undefined
    const refusal = faultRefusal(fault)
    if (this.#of.answer.begun) {
      this.#of.answer.cut()
      this.#end(refusal)
    } else this.#refuse(refusal)
  }

  checkStall(nowMs: number): void {
    if (this.#upload?.isLate(nowMs) === true) this.#of.answer.cut()
    else if (this.#unreadSinceMs !== undefined && nowMs - this.#unreadSinceMs > this.#parts.idleTimeoutMs) {
      this.#of.answer.cut()
    }
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
    this.#exchange?.abort()
    this.#end()
  }

  #answerFields({ fields, version }: AnswerHead): RawFields {
    const { visit, dialled } = this.#of
    if (dialled.source.address !== '') fields.push('X-Egress-IP', dialled.source.address)
    if (this.#parts.disclosure.via) fields.push('Via', `${version} ${pseudonym}`)
    fields.push(...visit.answerFields)
    return fields
  }

  #done(): void {
    this.#exchange = undefined
    if (this.#of.answer.pending) this.#unread()
    this.#end()
  }

  #unread(): void {
    this.#unreadSinceMs ??= performance.now()
    this.#parts.stalls.add(this)
  }

  #giveUpUpload(): void {
    this.#upload?.stop()
    this.#of.answer.closeAfter()
  }

  #refuse(refusal: Refusal): void {
    const { answer, visit, upgrade } = this.#of
    if (this.#upload?.complete === false) this.#giveUpUpload()
    if (upgrade) answer.closeAfter()
    this.#status = refusal.error.status
    answer.error(refusal.error, [...statusFields(refusal), ...visit.answerFields])
    this.#end(refusal)
  }

  #end(refusal?: Refusal): void {
    if (this.#ended) return
    this.#ended = true
    if (this.#unreadSinceMs === undefined) this.#parts.stalls.delete(this)
    this.#of.visit.end(this.#status, refusal)
  }
}
