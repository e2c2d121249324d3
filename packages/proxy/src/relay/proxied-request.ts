import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { CLIENT_CLOSED_REQUEST, ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { UpstreamFault } from '../http1/upstream-fault.ts'
import type { Exchange } from '../http1/exchange.ts'
import type { AnswerHead, UpstreamRequest, RawFields } from '../http1/exchange-types.ts'
import { linesOf } from '../http1/raw-fields.ts'
import type { QuotaRefusal } from '../http1/shared-quota.ts'
import type { TunnelReport } from '../http1/tunnels.ts'
import { type AnswerListener, noListener } from './client-answer.ts'
import { Hedge, type HedgedRequest } from './hedge.ts'
import type { Begin, ProxiedClient, RelayDeps, RelayEnd } from './relay-types.ts'
import type { Watched } from './stall-watch.ts'
import { bodyOf, type CollectOptions, Upload } from './upload.ts'

/**
 * A request on its way to the next server and its answer on the way back: bodies at the pace of the slower side, the
 * client's leaving, what lasts too long, a switch of protocols. Whom to ask, and what to do when there is no answer, is
 * up to those who extend it.
 */
export abstract class ProxiedRequest implements HedgedRequest, AnswerListener, Watched {
  protected readonly client: ProxiedClient
  protected readonly hasBody: boolean
  readonly #deps: RelayDeps
  readonly #body: UpstreamRequest['body']
  readonly #upload: Upload | undefined
  #exchange: Exchange | undefined
  #hedge: Hedge | undefined
  #status = 0
  #ended = false
  /** Since when the client leaves unread what was written. */
  #unreadSinceMs: number | undefined

  constructor(deps: RelayDeps, client: ProxiedClient) {
    this.#deps = deps
    this.client = client
    this.#body = bodyOf(client.req, client.fields)
    this.hasBody = this.#body !== 'none' && this.#body !== 0
    this.#upload = this.hasBody
      ? new Upload(client.req, deps.uploads, client.maxBodyBytes, () =>
          this.abandon(new ProxyError('payload_too_large')),
        )
      : undefined
    client.answer.listener = this
    if (this.#upload) deps.stalls.add(this)
  }

  /** Whether the client may still wait for the server to say 100. */
  protected get awaitsGo(): boolean {
    return this.#upload?.awaitsGo === true
  }

  /** The fields of an answer as the client gets them. */
  protected abstract answerFields(head: AnswerHead): RawFields
  /** No answer has begun, so that another server may be asked, or the client refused. */
  protected abstract unanswered(fault: UpstreamFault): void
  /** Fields of an answer of our own, to a fault or to a client that does not send its body as it should. */
  protected abstract refusalFields(error: ProxyError): RawFields
  /** Called once. `fault`: of an answer that broke off. */
  protected abstract over(status: number, end: RelayEnd, fault?: UpstreamFault): void
  /** The hedge of `askSecond` has answered first, and the one that was asked before it is dropped. */
  protected hedgeWon(): void {}
  /** It has failed, or was dropped because the other one has answered (then there is no fault). */
  protected hedgeLost(_fault: UpstreamFault | undefined): void {}
  /** The one that was asked first has failed; its hedge is all that is left. */
  protected firstFailed(_fault: UpstreamFault): void {}
  /** Protocols have been switched, which the client has been told. */
  protected tunnelOpened(): void {}
  /** What has passed, what came early included. Called before `over`, and only after `tunnelOpened`. */
  protected tunnelEnded(_report: TunnelReport): void {}

  /** Sends the request; `head` is its line and fields. Again only after `unanswered`. */
  protected ask(head: string, begin: Begin): void {
    this.#exchange = begin(this.#requestOf(head), this)
    this.#upload?.sendBy(this.#exchange)
    if (this.client.fields.expectsContinue) this.#upload?.awaitGo()
  }

  /** Asks a second server too. The first answer is used, and the other exchange is dropped. Only without a body. */
  protected askSecond(head: string, begin: Begin): void {
    this.#dropHedge()
    const hedge = new Hedge(this)
    this.#hedge = hedge
    hedge.exchange = begin(this.#requestOf(head), hedge)
  }

  hedgeAnswered(exchange: Exchange): void {
    this.#exchange?.abort()
    this.#exchange = exchange
    this.#hedge = undefined
    this.hedgeWon()
  }

  hedgeFailed(fault: UpstreamFault): void {
    this.#hedge = undefined
    this.hedgeLost(fault)
  }

  #dropHedge(): void {
    const hedge = this.#hedge
    if (hedge === undefined) return
    this.#hedge = undefined
    hedge.exchange?.abort()
    this.hedgeLost(undefined)
  }

  #requestOf(head: string): UpstreamRequest {
    const { method, upgrade, fields } = this.client
    return {
      method,
      head,
      body: this.#body,
      expectsContinue: fields.expectsContinue,
      upgrade: upgrade && fields.upgrade,
      takesTrailers: fields.takesTrailers,
      logsInConnection: fields.logsInConnection,
      client: this.client.subject,
      isLong: this.#upload?.isSlow === true,
    }
  }

  /** Reads the body, as `Upload.collect` does, before anyone is asked; without one, `onReady` is called at once. */
  protected collectBody(options: CollectOptions, onReady: () => void): void {
    if (this.#upload) this.#upload.collect(options, () => this.#ended || onReady())
    else onReady()
  }

  /** Whether the body, if there is one, can be sent from its start once more. */
  protected get hasWholeBody(): boolean {
    return this.#upload?.isWhole !== false
  }

  /** Between `unanswered` and the next `ask`. */
  protected holdBody(): void {
    this.#upload?.hold()
  }

  protected get isOver(): boolean {
    return this.#ended
  }

  /** See `Exchange.setAside`. */
  protected setAside(): QuotaRefusal | undefined {
    return this.#exchange?.setAside()
  }

  protected refuse(error: ProxyError): void {
    const { answer, upgrade } = this.client
    if (this.#upload?.complete === false) this.#giveUpUpload()
    if (upgrade) answer.closeAfter()
    answer.error(error, this.refusalFields(error))
    this.#done(error.status, 'refused')
  }

  drained(): void {
    this.#upload?.drained()
  }

  interim(status: number, _reason: string, fields: RawFields): void {
    if (status === 100) this.#upload?.go()
    this.client.answer.interim(status, fields)
  }

  answered(head: AnswerHead, whole: Buffer | undefined): void {
    const { answer, upgrade } = this.client
    this.#dropHedge()
    this.#upload?.go()
    this.#status = head.status
    // A server that answers in the middle of a body may go on reading it, unless it has refused it.
    if (this.#upload?.complete === false && (whole !== undefined || head.status >= 400)) this.#giveUpUpload()
    if (upgrade) answer.closeAfter()
    const fields = this.answerFields(head)
    if (whole === undefined) answer.head(head, fields)
    else {
      answer.whole(head, fields, whole)
      this.#done(head.status, 'answered')
    }
  }

  data(chunk: Buffer): void {
    if (this.client.answer.write(chunk)) return
    this.#exchange?.pause()
    this.#unread()
  }

  ended(trailers: RawFields): void {
    if (this.#upload?.complete === false) this.#giveUpUpload()
    this.client.answer.end(trailers)
    this.#done(this.#status, 'answered')
  }

  switched(head: AnswerHead, socket: Duplex, fromServer: Buffer): void {
    const { upgrade, answer } = this.client
    if (upgrade === undefined) {
      socket.destroy()
      return
    }
    answer.listener = noListener
    upgrade.detach()
    const lines = `Connection: Upgrade\r\nUpgrade: ${head.upgrade ?? ''}\r\n${linesOf(this.answerFields(head))}`
    upgrade.socket.write(`HTTP/1.1 101 ${head.reason}\r\n${lines}\r\n`, 'latin1')
    // The HTTP/1.1 client makes sockets only.
    const server = socket as Socket
    const early = { fromClient: upgrade.early, fromServer }
    // Not the bytes themselves: they would be kept for as long as the tunnel stands.
    const [earlyUp, earlyDown] = [early.fromClient.length, early.fromServer.length]
    this.tunnelOpened()
    this.#deps.tunnels.join(upgrade.socket, server, early, (report) => {
      const { bytesUp, bytesDown } = report
      this.tunnelEnded({ ...report, bytesUp: bytesUp + earlyUp, bytesDown: bytesDown + earlyDown })
      this.#end(head.status, 'answered')
    })
  }

  failed(fault: UpstreamFault): void {
    this.#exchange = undefined
    const hedge = this.#hedge
    if (hedge) {
      this.#hedge = undefined
      this.#exchange = hedge.takeOver()
      this.firstFailed(fault)
      return
    }
    if (!this.client.answer.begun) {
      this.unanswered(fault)
      return
    }
    this.client.answer.cut()
    this.#end(this.#status, 'broken', fault)
  }

  clientReads(): void {
    this.#unreadSinceMs = undefined
    this.#exchange?.resume()
  }

  clientGone(): void {
    this.#unreadSinceMs = undefined
    this.#deps.stalls.delete(this)
    if (this.#ended) return
    this.#exchange?.abort()
    this.#end(CLIENT_CLOSED_REQUEST, 'client_left')
  }

  checkStall(nowMs: number): void {
    if (this.#upload?.isLate(nowMs) === true) this.abandon(new ProxyError('request_timeout'))
    else if (this.#upload?.isCollecting === true) this.#upload.checkCollecting(nowMs)
    else if (this.#unreadSinceMs !== undefined && nowMs - this.#unreadSinceMs > this.#deps.sendTimeoutMs) {
      this.client.answer.cut()
    }
  }

  /** Refuses the client although a server is asked; that server's answer is not wanted any more. */
  protected abandon(error: ProxyError): void {
    this.#exchange?.abort()
    this.#exchange = undefined
    this.refuse(error)
  }

  /** All of the answer has been handed over; if the client takes its time over it, it is watched. */
  #done(status: number, end: RelayEnd): void {
    this.#exchange = undefined
    if (this.client.answer.pending) this.#unread()
    this.#end(status, end)
  }

  #unread(): void {
    this.#unreadSinceMs ??= performance.now()
    this.#deps.stalls.add(this)
  }

  #giveUpUpload(): void {
    this.#upload?.stop()
    this.client.answer.closeAfter()
  }

  #end(status: number, end: RelayEnd, fault?: UpstreamFault): void {
    if (this.#ended) return
    this.#ended = true
    this.#dropHedge()
    this.#upload?.stop()
    if (this.#unreadSinceMs === undefined) this.#deps.stalls.delete(this)
    this.over(status, end, fault)
  }
}
