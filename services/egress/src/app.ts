import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { tunnelReading } from '@ipfleet/proxy/http1/tunnel-reading.ts'
import { peerAddress, plainAddress } from '@ipfleet/net/client-address.ts'
import { nextMaxForwards } from '@ipfleet/proxy/forwarded-headers.ts'
import { REQUEST_ID } from '@ipfleet/http-server/request-id.ts'
import { fieldsFault } from '@ipfleet/http-server/request-guard.ts'
import type { ClientAnswer, UpgradeOffer } from '@ipfleet/proxy/relay/client-answer.ts'
import { H1Answer } from '@ipfleet/proxy/relay/h1-answer.ts'
import { mayBeFollowed, offerOf } from '@ipfleet/proxy/relay/upgrade-offer.ts'
import type { Tracer } from '@ipfleet/telemetry/tracing/tracer.ts'
import type { Authenticator, Identity } from './auth/authenticator.ts'
import { ResponseSignal, TunnelSignal } from './proxy/client-signal.ts'
import { forwardHead, traceEcho } from './proxy/forward-head.ts'
import { type ForwardDeps, ForwardedRequest } from './proxy/forwarded-request.ts'
import { refusal, refusalOf, sourceRefusal, statusFields } from './proxy/proxy-status.ts'
import type { TargetDialer } from './dial/target-dialer.ts'
import type { ClientLimits, OverLimit, TunnelClient, TunnelLimiter, TunnelSlot } from './limits/client-limits.ts'
import { RequestContext, type RequestRecord, SOCKS5 } from './proxy/request-record.ts'
import { type ForwardTarget, forwardTarget, readAuthority } from '@ipfleet/net/authority.ts'
import { fieldOf, linesOf, type RawFields } from '@ipfleet/proxy/http1/raw-fields.ts'
import type { Target } from '@ipfleet/net/target.ts'
import { type ConnectHead, connectRequest, hasTwoHosts, type Opening } from './server/opening.ts'
import { SocksClient } from './socks/socks-client.ts'
import { socksReplies, socksReply } from './socks/socks5.ts'
import { readSourceName } from './sources/source-list.ts'
import type { Source } from './sources/source-pool.ts'

export interface AppDeps {
  readonly authenticator: Authenticator
  readonly limits: ClientLimits
  readonly targets: TargetDialer
  readonly forward: ForwardDeps
  readonly tunnelLimiter: TunnelLimiter
  readonly record: RequestRecord
  readonly tracer: Tracer
}

/** The steps of a request, in order. */
export class App {
  readonly #deps: AppDeps
  /** Connections that have brought a request for a URL. */
  readonly #proxied = new WeakSet<Socket>()

  constructor(deps: AppDeps) {
    this.#deps = deps
  }

  /** Forwards a request for a URL; with `offer`, one that asks to switch protocols. */
  async forward(req: IncomingMessage, res: ServerResponse, offer?: UpgradeOffer): Promise<void> {
    let slot: TunnelSlot | undefined
    const context = new RequestContext(req, peerAddress(req), this.#deps)
    const answer = new H1Answer(res)
    if (offer === undefined && !mayBeFollowed(req)) answer.closeAfter()
    try {
      // First of all, fields that Node accepts and two readers could understand in two ways.
      if (fieldsFault(req)) throw refusal('bad_request', 'http_request_error')
      const asked = this.#forwardTarget(req, offer !== undefined)
      if (asked === undefined) throw refusal('bad_request', 'http_request_error', undefined, { message: notForAProxy })
      context.target = asked.target
      context.path = asked.path
      const who = await this.#admit(req.headers['proxy-authorization'], context)
      const maxForwards = nextMaxForwards(context.method, context.fields.maxForwards)
      if (maxForwards.kind === 'answer here') return this.#answerHere(req, context, answer)
      context.fields.maxForwards = maxForwards.value
      // A request that switches protocols becomes a tunnel.
      if (offer) slot = this.#deps.tunnelLimiter.reserve(context.client, who)
      const route = await this.#deps.targets.route(asked.target, who, 'forward', new ResponseSignal(res))
      const dialled = await this.#deps.targets.dial(context, route)
      const head = forwardHead(context, asked.target, req.httpVersion, this.#deps.forward.disclosure)
      const { method, fields } = context
      const client = { req, answer, upgrade: offer, fields, method, maxBodyBytes: 0 }
      new ForwardedRequest(this.#deps.forward, { ...client, context, head, route, dialled, slot }).start()
    } catch (error) {
      if (slot) this.#deps.tunnelLimiter.release(slot)
      this.#refuse(context, answer, error)
    }
  }

  /**
   * Opens a tunnel. There is no await before the listeners, so that a client that leaves at once is noticed. Never rejects.
   * @param again called when the client may ask once more on its connection: it was asked for credentials
   */
  async connect(head: ConnectHead, socket: Socket, early: Buffer, again?: () => void): Promise<void> {
    const { url = '', httpVersion, rawHeaders } = head
    const context = new RequestContext(
      { method: 'CONNECT', rawHeaders },
      plainAddress(socket.remoteAddress),
      this.#deps,
    )
    const signal = new TunnelSignal(socket)
    const established = ({ address }: Source): string => connectionEstablished(address, context.echoedId)
    try {
      // A body has no meaning here (RFC 9110 §9.3.6): one server reads a body, the next the first bytes of the tunnel.
      // The request line alone says where to: some clients have no Host, or that of the proxy, in it.
      const isUnderstood = /^1\.[01]$/.test(httpVersion) && !context.fields.bringsBody && !hasTwoHosts(rawHeaders)
      const target = isUnderstood ? readAuthority(url) : undefined
      if (target === undefined) throw refusal('bad_request', 'http_request_error')
      context.target = target
      const who = await this.#admit(fieldOf(rawHeaders, 'proxy-authorization'), context)
      await this.#openTunnel(context, target, who, { socket, early, established }, signal)
    } catch (error) {
      signal.release()
      const mayAskAgain = again !== undefined && early.length === 0 && httpVersion === '1.1'
      const isChallenged = mayAskAgain && refusalOf(error).error.status === 407
      const { res } = offerOf(connectRequest(head, socket), socket, early, isChallenged ? again : undefined)
      this.#refuse(context, new H1Answer(res), error, isChallenged)
    }
  }

  /** Opens a tunnel for a client that speaks SOCKS5 (RFC 1928): nothing is dialled for one that is not let in. */
  async socks(socket: Socket, opening: Opening): Promise<void> {
    const asked = { method: SOCKS5, rawHeaders: [] }
    const context = new RequestContext(asked, plainAddress(socket.remoteAddress), this.#deps)
    const signal = new TunnelSignal(socket)
    const client = new SocksClient(socket, opening)
    try {
      const given = await client.greet(this.#deps.authenticator.asks)
      const who = await this.#deps.authenticator.identify(given, context.client)
      context.user = who.user
      if (given !== undefined) client.welcome()
      context.target = await client.readTarget()
      refuseOver(await this.#deps.limits.take(context.client, who), context)
      withSource(who, undefined)
      const tunnel = { socket, early: opening.release(), established: () => socksReply(socksReplies.succeeded) }
      await this.#openTunnel(context, context.target, who, tunnel, signal)
    } catch (error) {
      opening.release()
      signal.release()
      const reason = refusalOf(error)
      client.refuse(reason)
      context.end(reason.error.status, reason)
    }
  }

  /**
   * For the switch of protocols, a client may write `ws://` (aiohttp's does), or, on a connection that it has
   * asked this proxy on before, the origin form alone (the JDK's does).
   */
  #forwardTarget({ url = '', headers, socket }: IncomingMessage, isOffer: boolean): ForwardTarget | undefined {
    const written = isOffer ? url.replace(/^ws:/i, 'http:') : url
    const hasAskedBefore = this.#proxied.has(socket)
    const asked = forwardTarget(
      isOffer && hasAskedBefore && written.startsWith('/') ? `http://${headers.host}${written}` : written,
    )
    if (asked !== undefined) this.#proxied.add(socket)
    return asked
  }

  async #openTunnel(
    context: RequestContext,
    target: Target,
    who: Identity,
    client: TunnelClient,
    signal: TunnelSignal,
  ): Promise<void> {
    const { tunnelLimiter, targets } = this.#deps
    const slot = tunnelLimiter.reserve(context.client, who)
    try {
      const route = await targets.route(target, who, 'connect', signal, tunnelReading)
      const dialled = await targets.dial(context, route)
      signal.release()
      tunnelLimiter.open(context, client, dialled, slot)
    } catch (error) {
      tunnelLimiter.release(slot)
      throw error
    }
  }

  /** Authenticates and limits the client, before the target is judged: unknown clients learn nothing about targets. */
  async #admit(given: string | undefined, context: RequestContext): Promise<Identity> {
    const who = await this.#deps.authenticator.identify(given, context.client)
    context.user = who.user
    refuseOver(await this.#deps.limits.take(context.client, who), context)
    return withSource(who, context.fields.egressIp)
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

  #refuse(context: RequestContext, answer: ClientAnswer, thrown: unknown, mayAskAgain = true): void {
    const reason = refusalOf(thrown)
    // An unread body is not waited for, and after a malformed request the connection cannot be trusted.
    if (context.fields.bringsBody || reason.error.status === 400 || !mayAskAgain) answer.closeAfter()
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

/** @throws Refusal if the client is over its limit */
function refuseOver(over: OverLimit | undefined, context: RequestContext): void {
  if (over === undefined) return
  const { fields, retryAfterSeconds } = over
  context.answerFields = fields
  throw refusal('rate_limited', 'http_request_denied', 'rate limit', { retryAfterSeconds, message: tooManyRequests })
}

/** With the source address that a client chooses, by a field or with its user. @throws Refusal if it may not */
function withSource(who: Identity, field: string | undefined): Identity {
  const named = field === undefined ? who.source : readSourceName(field)
  if (field === undefined && named === undefined) return who
  if (named === undefined || who.mayChoose?.(named) !== true) throw sourceRefusal()
  return { ...who, source: named }
}

/** RFC 9110 §9.3.6: neither Content-Length nor Transfer-Encoding. */
function connectionEstablished(sourceAddress: string, echoedId: RawFields): string {
  const from = sourceAddress === '' ? '' : `X-Egress-IP: ${sourceAddress}\r\n`
  return `HTTP/1.1 200 Connection Established\r\n${from}${linesOf(echoedId)}\r\n`
}

const tooManyRequests = 'You have asked more than you may; try again after the time in Retry-After'
const notForAProxy = 'This is a forward proxy: ask it for http://host/path, or CONNECT host:port'
const allowedMethods = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE, CONNECT'

function challenge(status: number): readonly string[] {
  return status === 407 ? ['Proxy-Authenticate', 'Basic realm="ipfleet-egress", charset="UTF-8"'] : []
}
