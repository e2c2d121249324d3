import type { IncomingMessage } from 'node:http'
import { CLIENT_CLOSED_REQUEST, ProxyError } from '@ipfleet/core/proxy-error.ts'
import { FairTurns } from '@ipfleet/http-server/fair-turns.ts'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import { peerAddress } from '@ipfleet/net/client-address.ts'
import { type ForwardedHeaders, nextMaxForwards } from '@ipfleet/proxy/forwarded-headers.ts'
import type { RawFields } from '@ipfleet/proxy/http1/exchange-types.ts'
import type { Tracer } from '@ipfleet/telemetry/tracing/tracer.ts'
import type { Verdict } from './limits/client-limiter.ts'
import { ForwardedRequest } from './proxy/forwarded-request.ts'
import { isLooping, toOriginForm } from './proxy/request-head.ts'
import { type Incoming, noFields, RequestContext } from './server/request-context.ts'
import type { RequestEnd } from './server/request-record.ts'
import type { Rules } from './server/rules.ts'

export interface AppDeps {
  readonly rules: () => Rules
  readonly clientAddress: (req: IncomingMessage) => string
  /** Whether an address is one of a proxy that is believed what it says of its clients. */
  readonly isTrusted: (address: string) => boolean
  readonly tracer: Tracer
  /** Told of every request once, when it is over. */
  readonly onEnd: (end: RequestEnd) => void
}

export type App = (incoming: Incoming) => void

export function createApp({ rules, clientAddress, isTrusted, tracer, onEnd }: AppDeps): App {
  const turns = new FairTurns()

  return (incoming) => {
    const { req, answer, secure } = incoming
    toOriginForm(req)
    const address = clientAddress(req)
    const peer = peerAddress(req)
    const client = { address, peer, isIntroduced: address !== peer || isTrusted(peer), secure }
    const arrival = { client, subject: addressSubject(address), arrivedMs: performance.now(), tracer, onEnd }
    // Before all that costs: a client that sends many requests at once delays its own.
    turns.take(arrival.subject, () => {
      const context = new RequestContext(incoming, arrival)
      if (answer.gone) context.answeredHere(CLIENT_CLOSED_REQUEST)
      else judge(context, rules())
    })
  }
}

/** All that a request passes, in order, and why in this order. */
function judge(context: RequestContext, now: Rules): void {
  const { req } = context.incoming
  // Before anything reads the request: what Node accepts although two servers could read it in two ways.
  const fault = now.faultOf(req)
  if (fault) return context.refuseFaulty(fault)
  // Before any answer: a denied client gets not even the operators' routes.
  if (now.isDenied(context.client.address)) return context.refuse(new ProxyError('client_denied'))
  // Before the limiter: probes and scrapes do not use up what clients have.
  if (now.operatorRoutes.answer(context)) return undefined
  // What the server as a whole can do; probes ask it, and so it is not counted either.
  if (context.target === '*') return context.answerOptions(noFields)
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
  const turn = shares.turnOf(error, context.subject, () => context.incoming.answer.gone)
  if (turn === undefined) context.refuse(error)
  else void turn.then(() => refuseIfThere(context, error))
}

function refuseIfThere(context: RequestContext, error: ProxyError): void {
  if (context.incoming.answer.gone) context.answeredHere(CLIENT_CLOSED_REQUEST)
  else context.refuse(error)
}

/** While the fleet is asked, the client may leave. */
async function admitLater(context: RequestContext, rules: Rules, verdict: Promise<Verdict>): Promise<void> {
  try {
    const decided = await verdict
    if (context.incoming.answer.gone) context.answeredHere(CLIENT_CLOSED_REQUEST)
    else admit(context, rules, decided)
  } catch (error) {
    context.refuse(ProxyError.from(error))
  }
}

function admit(context: RequestContext, rules: Rules, verdict: Verdict | undefined): void {
  const answerFields = verdict?.fields ?? noFields
  if (verdict?.kind === 'limited') {
    const { retryAfterSeconds } = verdict
    const message = 'You have asked more than you may; try again after the time in Retry-After'
    return context.refuse(new ProxyError('rate_limited', { retryAfterSeconds, message }), answerFields)
  }
  return forward(context, rules, answerFields)
}

function forward(context: RequestContext, rules: Rules, answerFields: RawFields): void {
  const route = rules.routes.routeFor(context.target)
  const { upstreams, maxBodyBytes = rules.maxBodyBytes } = route
  const group = rules.groups.get(upstreams)
  if (group === undefined) return context.refuse(new ProxyError('no_backend', { retryAfterSeconds: 1 }), answerFields)
  if (isLooping(context.fields)) return context.refuse(new ProxyError('loop_detected'), answerFields)
  if (isTooLong(context.fields, maxBodyBytes)) return context.refuse(new ProxyError('payload_too_large'), answerFields)
  const maxForwards = nextMaxForwards(context.method, context.fields.maxForwards)
  if (maxForwards.kind === 'answer here') return context.answerOptions(answerFields)
  context.fields.maxForwards = maxForwards.value
  const { req, answer, upgrade } = context.incoming
  return new ForwardedRequest(rules.forward, {
    req,
    answer,
    method: context.method,
    target: context.target,
    fields: context.fields,
    from: context.client,
    subject: context.subject,
    group,
    hostOf: group.config.host,
    hedgeAfterMs: route.hedgeAfterMs ?? (isAskedOnce(context.target) ? 0 : rules.hedgeAfterMs),
    maxBodyBytes,
    requestId: context.requestId,
    span: context.span,
    answerFields: [...context.idFields, ...answerFields],
    upgrade,
    onEnd: (end) => context.end(end),
  }).start()
}

/** What bulk and the console answer may be made while it is read; a route may say otherwise. */
function isAskedOnce(target: string): boolean {
  return /^\/(?:jobs|console)(?:[/?]|$)/.test(target)
}

function isTooLong({ contentLength }: ForwardedHeaders, maxBodyBytes: number): boolean {
  return maxBodyBytes > 0 && contentLength !== undefined && Number(contentLength) > maxBodyBytes
}
