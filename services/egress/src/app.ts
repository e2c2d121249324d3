import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { tunnelReading } from '@ipfleet/proxy/http1/tunnel-reading.ts'
import { peerAddress } from '@ipfleet/net/client-address.ts'
import { nextMaxForwards } from '@ipfleet/proxy/max-forwards.ts'
import { REQUEST_ID } from '@ipfleet/http-server/request-id.ts'
import { fieldsFault } from '@ipfleet/http-server/request-guard.ts'
import type { ClientAnswer, UpgradeOffer } from '@ipfleet/proxy/relay/client-answer.ts'
import { H1Answer } from '@ipfleet/proxy/relay/h1-answer.ts'
import { mayBeFollowed, offerOf } from '@ipfleet/proxy/relay/upgrade-offer.ts'
import type { Authenticator } from './auth/authenticator.ts'
import type { RequestRecord } from './proxy/request-record.ts'
import type { ClientLimits } from './limits/client-limits.ts'
import { ResponseSignal, TunnelSignal } from './proxy/client-signal.ts'
import { forwardHead, traceEcho } from './proxy/forward-head.ts'
import { type ForwardDeps, ForwardedRequest } from './proxy/forwarded-request.ts'
import { refusal, refusalOf, statusFields } from './proxy/proxy-status.ts'
import type { TargetDialer } from './proxy/target-dialer.ts'
import type { TunnelLimiter, TunnelSlot } from './limits/tunnel-limiter.ts'
import { type Identity, RequestContext } from './proxy/request-context.ts'
import { connectTarget, forwardTarget } from '@ipfleet/net/authority.ts'

export interface AppDeps {
  readonly authenticator: Authenticator
  readonly limits: ClientLimits
  readonly targets: TargetDialer
  readonly forward: ForwardDeps
  readonly tunnelLimiter: TunnelLimiter
  readonly record: RequestRecord
}

/** The steps of a request, in order. */
export class App {
  readonly #deps: AppDeps

  constructor(deps: AppDeps) {
    this.#deps = deps
  }

  /** Forwards a request for a URL; with `offer`, one that asks to switch protocols. */
  async forward(req: IncomingMessage, res: ServerResponse, offer?: UpgradeOffer): Promise<void> {
    let slot: TunnelSlot | undefined
    const context = new RequestContext(req, peerAddress(req), this.#deps.record.requestEnded)
    const answer = new H1Answer(res)
    if (offer === undefined && !mayBeFollowed(req)) answer.closeAfter()
    try {
      // First of all, fields that Node accepts and two readers could understand in two ways.
      if (fieldsFault(req)) throw refusal('bad_request', 'http_request_error')
      const asked = forwardTarget(req.url ?? '')
      if (asked === undefined) throw refusal('bad_request', 'http_request_error', undefined, { message: notForAProxy })
      context.target = asked.target
      context.path = asked.path
      const who = await this.#admit(req, context)
      const maxForwards = nextMaxForwards(context.method, context.fields.maxForwards)
      if (maxForwards.kind === 'answer here') return this.#answerHere(req, context, answer)
      // A request that switches protocols becomes a tunnel.
      if (offer) slot = this.#deps.tunnelLimiter.reserve(context.client, who)
      const route = await this.#deps.targets.route(asked.target, who, 'forward', new ResponseSignal(res))
      const dialled = await this.#deps.targets.dial(context, route)
      const line = {
        method: context.method,
        path: asked.path,
        httpVersion: req.httpVersion,
        maxForwards: maxForwards.value,
      }
      const head = forwardHead(line, asked.target, context.fields, context.client, this.#deps.forward.disclosure)
      const { method, fields } = context
      const client = { req, answer, upgrade: offer, fields, method, maxBodyBytes: 0 }
      new ForwardedRequest(this.#deps.forward, { ...client, context, head, route, dialled, slot }).start()
    } catch (error) {
      if (slot) this.#deps.tunnelLimiter.release(slot)
      this.#refuse(context, answer, error)
    }
  }

  /** Opens a tunnel. There is no await before the listeners, so that a client that leaves at once is noticed. */
  async connect(req: IncomingMessage, socket: Socket, early: Buffer): Promise<void> {
    const context = new RequestContext(req, peerAddress(req), this.#deps.record.requestEnded)
    const client = new TunnelSignal(socket)
    try {
      // A body has no meaning here (RFC 9110 §9.3.6): one server reads a body, the next the first bytes of the tunnel.
      if (fieldsFault(req) || context.fields.bringsBody) throw refusal('bad_request', 'http_request_error')
      const target = connectTarget(req.url ?? '', context.fields.host)
      if (target === undefined) throw refusal('bad_request', 'http_request_error')
      context.target = target
      const who = await this.#admit(req, context)
      const { tunnelLimiter, targets } = this.#deps
      const slot = tunnelLimiter.reserve(context.client, who)
      try {
        const dialled = await targets.dial(context, await targets.route(target, who, 'connect', client, tunnelReading))
        client.release()
        tunnelLimiter.open(context, { socket, early }, dialled, slot)
      } catch (error) {
        tunnelLimiter.release(slot)
        throw error
      }
    } catch (error) {
      client.release()
      this.#refuse(context, new H1Answer(offerOf(req, socket, early).res), error)
    }
  }

  /** Authenticates and limits the client, before the target is judged: unknown clients learn nothing about targets. */
  async #admit(req: IncomingMessage, context: RequestContext): Promise<Identity> {
    const who = await this.#deps.authenticator.identify(req, context.client)
    context.user = who.user
    const over = await this.#deps.limits.take(context.client, who)
    if (over === undefined) return who
    const { fields, retryAfterSeconds } = over
    context.answerFields = fields
    throw refusal('rate_limited', 'http_request_denied', 'rate limit', { retryAfterSeconds, message: tooManyRequests })
  }

  /** RFC 9110 §7.6.2: the last recipient of OPTIONS or TRACE answers it. */
  #answerHere(req: IncomingMessage, context: RequestContext, answer: ClientAnswer): void {
    const isTrace = context.method === 'TRACE'
    const body = Buffer.from(isTrace ? traceEcho(req) : '', 'latin1')
    const about = isTrace ? ['Content-Type', 'message/http'] : ['Allow', allowedMethods]
    const fields = [REQUEST_ID, context.id, ...about, 'Content-Length', String(body.length)]
    answer.whole({ status: 200, reason: 'OK' }, fields, body)
    context.end(200)
  }

  #refuse(context: RequestContext, answer: ClientAnswer, thrown: unknown): void {
    const reason = refusalOf(thrown)
    // An unread body is not waited for, and after a malformed request the connection cannot be trusted.
    if (context.fields.bringsBody || reason.error.status === 400 || context.method === 'CONNECT') answer.closeAfter()
    const { error } = reason
    answer.error(error, [
      REQUEST_ID,
      context.id,
      ...statusFields(reason),
      ...challenge(error.status),
      ...context.answerFields,
    ])
    context.end(reason.error.status, reason)
  }
}

const tooManyRequests = 'You have asked more than you may; try again after the time in Retry-After'
const notForAProxy = 'This is a forward proxy: ask it for http://host/path, or CONNECT host:port'
const allowedMethods = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE, CONNECT'

function challenge(status: number): readonly string[] {
  return status === 407 ? ['Proxy-Authenticate', 'Basic realm="ipfleet-egress", charset="UTF-8"'] : []
}
