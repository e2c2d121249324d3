import type { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { REQUEST_ID } from '@ipfleet/http-server/request-id.ts'
import { exchangeOver } from '@ipfleet/proxy/http1/exchange-over.ts'
import type { ExchangeTimeouts } from '@ipfleet/proxy/http1/connection-timeouts.ts'
import type { UpstreamFault } from '@ipfleet/proxy/http1/upstream-fault.ts'
import type { AnswerHead } from '@ipfleet/proxy/http1/exchange-types.ts'
import { fieldOf, type RawFields } from '@ipfleet/proxy/http1/raw-fields.ts'
import type { TunnelReport } from '@ipfleet/proxy/http1/tunnels.ts'
import { passedFields } from '@ipfleet/proxy/forwarded-headers.ts'
import { ProxiedRequest } from '@ipfleet/proxy/relay/proxied-request.ts'
import type { ProxiedClient, RelayDeps, RelayEnd } from '@ipfleet/proxy/relay/relay-types.ts'
import type { DialRequest } from '../dial/dial-request.ts'
import { SourceLost } from '../sources/source-connections.ts'
import type { Disclosure } from './forward-head.ts'
import { faultRefusal, pseudonym, Refusal, refusalOf, statusFields } from './proxy-status.ts'
import type { Connected, TargetDialer } from '../dial/target-dialer.ts'
import type { TunnelLimiter, TunnelSlot } from '../limits/client-limits.ts'
import type { RequestContext } from './request-record.ts'

export interface ForwardDeps extends RelayDeps {
  readonly timeouts: ExchangeTimeouts
  readonly disclosure: Disclosure
  readonly targets: TargetDialer
  /** Has the slots of requests that switch protocols. */
  readonly tunnelLimiter: TunnelLimiter
  /** Called when a site answers as it does to blocked addresses. */
  readonly onBlocked: (context: RequestContext) => void
}

export interface ConnectedRequest extends ProxiedClient {
  readonly context: RequestContext
  /** Request line and fields for the origin. */
  readonly head: string
  /** To dial the target again. */
  readonly route: DialRequest
  readonly dialled: Connected
  /** Of a request that may become a tunnel; released here. */
  readonly slot: TunnelSlot | undefined
}

/** Requests that may be sent twice: the origin may have acted on the first (RFC 9110 §9.2.2). */
const idempotentMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])
/** Forbidden, and too many requests. */
const blockedStatuses: ReadonlySet<number> = new Set([403, 429])

/** A request on its way to an origin, over a connection of its own, and the answer on its way back. */
export class ForwardedRequest extends ProxiedRequest {
  readonly #deps: ForwardDeps
  readonly #of: ConnectedRequest
  #dialled: Connected
  #refusal: Refusal | undefined

  constructor(deps: ForwardDeps, request: ConnectedRequest) {
    super(deps, request)
    this.#deps = deps
    this.#of = request
    this.#dialled = request.dialled
  }

  start(): void {
    const { socket } = this.#dialled
    this.ask(this.#of.head, (request, handler) => exchangeOver(socket, request, handler, this.#deps.timeouts))
  }

  protected answerFields(head: AnswerHead): RawFields {
    const { context, req } = this.#of
    const { source } = this.#dialled
    const { status, version } = head
    if (blockedStatuses.has(status)) this.#deps.onBlocked(context)
    const fields = passedFields(head, req.httpVersion, 'x-egress-ip')
    if (source.address !== '') fields.push('X-Egress-IP', source.address)
    // An origin's own id stays: the client may have to give it to the origin's operators.
    if (context.echoedId.length > 0 && fieldOf(fields, 'x-request-id') === undefined) fields.push(...context.echoedId)
    if (this.#deps.disclosure.via) fields.push('Via', `${version} ${pseudonym}`)
    return fields
  }

  protected refusalFields(error: ProxyError): RawFields {
    // The client is to blame, not the origin.
    this.#refusal ??= new Refusal(error, 'http_request_error', 'body too slow')
    return [REQUEST_ID, this.#of.context.id, ...statusFields(this.#refusal)]
  }

  protected unanswered(fault: UpstreamFault): void {
    if (this.#mayAskAgain(fault)) void this.#askAgain()
    else this.#refuse(faultRefusal(fault))
  }

  /** Whether the connection was lost with its source before any byte of an answer, and the request may be sent again. */
  #mayAskAgain({ kind, cause }: UpstreamFault): boolean {
    const { method, route } = this.#of
    if (kind !== 'lost' || !(cause instanceof SourceLost) || route.session?.hard === true || route.chosen !== undefined)
      return false
    return idempotentMethods.has(method) && this.hasWholeBody
  }

  async #askAgain(): Promise<void> {
    this.holdBody()
    try {
      this.#dialled = await this.#deps.targets.dial(this.#of.context, this.#of.route)
      this.start()
    } catch (error) {
      this.#refuse(refusalOf(error))
    }
  }

  #refuse(refusal: Refusal): void {
    if (this.isOver) return
    this.#refusal = refusal
    this.refuse(refusal.error)
  }

  protected override tunnelOpened(): void {
    this.#deps.tunnelLimiter.opened(this.#of.context, this.#dialled.source, 101)
  }

  protected override tunnelEnded(report: TunnelReport): void {
    const { context, slot } = this.#of
    if (slot) this.#deps.tunnelLimiter.ended(context, slot, report)
  }

  protected over(status: number, _end: RelayEnd, fault?: UpstreamFault): void {
    const { context, slot } = this.#of
    if (slot) this.#deps.tunnelLimiter.release(slot)
    context.end(status, fault ? faultRefusal(fault) : this.#refusal)
  }
}
