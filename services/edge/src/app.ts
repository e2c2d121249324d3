import type { IncomingMessage } from 'node:http'
import { CLIENT_CLOSED_REQUEST, ProxyError } from '@ipfleet/core/proxy-error.ts'
import { FairTurns } from '@ipfleet/http-server/fair-turns.ts'
import { hostForm } from '@ipfleet/http-server/request-guard.ts'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import { peerAddress } from '@ipfleet/net/client-address.ts'
import { type ForwardedHeaders, nextMaxForwards } from '@ipfleet/proxy/forwarded-headers.ts'
import { indexOfName } from '@ipfleet/proxy/http1/raw-fields.ts'
import type { Verdict } from './limits/client-limiter.ts'
import { ForwardedRequest } from './proxy/forwarded-request.ts'
import { type Incoming, isLooping, RequestContext, type RequestWatch } from './proxy/request-record.ts'
import type { Rules } from './server/rules.ts'

export interface AppDeps extends RequestWatch {
  readonly rules: () => Rules
  readonly clientAddress: (req: IncomingMessage) => string
  /** Whether an address is one of a proxy that is believed what it says of its clients. */
  readonly isTrusted: (address: string) => boolean
}

export type App = (incoming: Incoming) => void

export function createApp({ rules, clientAddress, isTrusted, ...watch }: AppDeps): App {
  const turns = new FairTurns()

  return (incoming) => {
    const { req, answer, secure } = incoming
    const arrivedMs = performance.now()
    toOriginForm(req)
    const address = clientAddress(req)
    const subject = addressSubject(address)
    const peer = peerAddress(req)
    const client = { address, subject, peer, isIntroduced: address !== peer || isTrusted(peer), secure }
    // Before all that costs: a client that sends many requests at once delays its own.
    turns.take(subject, () => {
      const context = new RequestContext(incoming, client, arrivedMs, watch)
      if (answer.gone) context.end({ status: CLIENT_CLOSED_REQUEST })
      else judge(context, rules())
    })
  }
}

/** RFC 9112 §3.2.2, without user information (RFC 9110 §4.2.4) and fragments. */
const absoluteForm = /^https?:\/\/([^/?#@\\]+)([/?][^#]*)?$/i

/**
 * Turns a target in absolute form into origin form, and replaces Host by its authority (RFC 9112 §3.2.2), before anything
 * reads either: hidden paths, routes and limits are about the path. OPTIONS without a path is about the server as a whole
 * (§3.2.4). What is in no such form, or has a Host that is none, is left as it is, and refused as such.
 */
export function toOriginForm(req: IncomingMessage): void {
  const { url = '', rawHeaders } = req
  if (url.startsWith('/') || req.httpVersionMajor !== 1) return
  const [, authority = '', path = ''] = absoluteForm.exec(url) ?? []
  if (!hostForm.test(authority)) return
  const at = indexOfName(rawHeaders, 'host')
  if (at >= 0) {
    if (!hostForm.test(rawHeaders[at + 1] ?? '')) return
    rawHeaders[at + 1] = authority
  } else if (req.httpVersion === '1.0') rawHeaders.push('Host', authority)
  req.url = path === '' && req.method === 'OPTIONS' ? '*' : path.startsWith('/') ? path : `/${path}`
}

/** All that a request passes, in order, and why in this order. */
function judge(context: RequestContext, now: Rules): void {
  const { req } = context
  // Before anything reads the request: what Node accepts although two servers could read it in two ways.
  const fault = now.faultOf(req)
  if (fault) return context.refuseFaulty(fault)
  // Before any answer: a denied client gets not even the operators' routes.
  if (now.isDenied(context.client.address)) return context.refuse(new ProxyError('client_denied'))
  // Before the limiter: probes and scrapes do not use up what clients have.
  if (now.operatorRoutes.answer(context)) return undefined
  // What the server as a whole can do; probes ask it, and so it is not counted either.
  if (context.target === '*') return context.answerOptions()
  // 404 for every client, whatever the backends have there.
  if (now.hiddenPaths.isHiddenFrom(context.client.address, context.target))
    return context.refuse(new ProxyError('not_found'))
  // Before anything waits: what is held for a request is bounded for its client, and for all.
  const over = context.holdHead(now.shares)
  if (over) return refuseInPace(context, now, over)
  const verdict = now.limiter?.judge(req, context.client.address)
  if (verdict instanceof Promise) return void admitLater(context, now, verdict)
  return admit(context, now, verdict)
}

/** A client that does not heed refusals waits for them. */
function refuseInPace(context: RequestContext, { shares }: Rules, error: ProxyError): void {
  const turn = shares.turnOf(error, context.subject, () => context.answer.gone)
  if (turn === undefined) context.refuse(error)
  else void turn.then(() => refuseIfThere(context, error))
}

function refuseIfThere(context: RequestContext, error: ProxyError): void {
  if (context.answer.gone) context.end({ status: CLIENT_CLOSED_REQUEST })
  else context.refuse(error)
}

/** While the fleet is asked, the client may leave. */
async function admitLater(context: RequestContext, rules: Rules, verdict: Promise<Verdict>): Promise<void> {
  try {
    const decided = await verdict
    if (context.answer.gone) context.end({ status: CLIENT_CLOSED_REQUEST })
    else admit(context, rules, decided)
  } catch (error) {
    context.refuse(ProxyError.from(error))
  }
}

function admit(context: RequestContext, rules: Rules, verdict: Verdict | undefined): void {
  if (verdict) context.answerFields = [...context.answerFields, ...verdict.fields]
  if (verdict?.kind === 'limited') {
    const { retryAfterSeconds } = verdict
    const message = 'You have asked more than you may; try again after the time in Retry-After'
    return context.refuse(new ProxyError('rate_limited', { retryAfterSeconds, message }))
  }
  return forward(context, rules)
}

function forward(context: RequestContext, rules: Rules): void {
  const { method, target, fields } = context
  const { upstreams, maxBodyBytes = rules.maxBodyBytes, hedgeAfterMs } = rules.routeFor(target)
  const group = rules.groups.get(upstreams)
  if (group === undefined) return context.refuse(new ProxyError('no_backend', { retryAfterSeconds: 1 }))
  if (isLooping(fields)) return context.refuse(new ProxyError('loop_detected'))
  if (isTooLong(fields, maxBodyBytes)) return context.refuse(new ProxyError('payload_too_large'))
  const maxForwards = nextMaxForwards(method, fields.maxForwards)
  if (maxForwards.kind === 'answer here') return context.answerOptions()
  fields.maxForwards = maxForwards.value
  context.maxBodyBytes = maxBodyBytes
  const hedges = hedgeAfterMs ?? (isAskedOnce(target) ? 0 : rules.hedgeAfterMs)
  return new ForwardedRequest(rules.forward, context, group, hedges).start()
}

/** What bulk and the console answer may be made while it is read; a route may say otherwise. */
function isAskedOnce(target: string): boolean {
  return /^\/(?:jobs|console)(?:[/?]|$)/.test(target)
}

function isTooLong({ contentLength }: ForwardedHeaders, maxBodyBytes: number): boolean {
  return maxBodyBytes > 0 && contentLength !== undefined && Number(contentLength) > maxBodyBytes
}
