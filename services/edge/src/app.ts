import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import { CLIENT_CLOSED_REQUEST, ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { RawFields } from '@ipfleet/proxy/http1/exchange-types.ts'
import type { SharedQuota } from '@ipfleet/proxy/http1/shared-quota.ts'
import { peerAddress } from '@ipfleet/net/client-address.ts'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import { ForwardedHeaders } from '@ipfleet/proxy/forwarded-headers.ts'
import { REQUEST_ID, requestIdOf } from '@ipfleet/http-server/request-id.ts'
import type { RequestFault } from '@ipfleet/http-server/request-guard.ts'
import { nextMaxForwards } from '@ipfleet/proxy/max-forwards.ts'
import type { HedgeAfter } from './config/edge-config.ts'
import { FairTurns } from './limits/fair-turns.ts'
import type { ClientShares } from './limits/client-shares.ts'
import type { ClientLimiter, Verdict } from './limits/client-limiter.ts'
import type { OwnEndpoints } from './own-endpoints.ts'
import type { ClientAnswer, UpgradeOffer } from '@ipfleet/proxy/relay/client-answer.ts'
import { type ForwardEnd, type ForwardDeps, ForwardedRequest } from './proxy/forwarded-request.ts'
import { type Client, isLooping } from './proxy/request-head.ts'
import type { RequestEnd } from './request-record.ts'
import type { HiddenPaths } from './proxy/hidden-paths.ts'
import type { Routes } from './proxy/routes.ts'
import type { Groups } from './backends/upstream-groups.ts'

/** What is in force: made anew from each configuration, and replaced as a whole. */
export interface Rules {
  /** What is wrong with a request that Node lets by. */
  readonly faultOf: (req: IncomingMessage) => RequestFault | undefined
  /** Whether nobody may come from this address. */
  readonly isDenied: (address: string) => boolean
  readonly endpoints: OwnEndpoints
  readonly hiddenPaths: HiddenPaths
  /** Undefined: nobody is limited. */
  readonly limiter: ClientLimiter | undefined
  readonly shares: ClientShares
  readonly routes: Routes
  readonly groups: Groups
  /** Where a route says nothing else; 0: no limit. */
  readonly maxBodyBytes: number
  readonly hedgeAfterMs: HedgeAfter
  readonly forward: ForwardDeps
}

export interface AppParts {
  readonly rules: () => Rules
  readonly clientAddress: (req: IncomingMessage) => string
  /** Whether an address is one of a proxy that is believed what it says of its clients. */
  readonly isTrusted: (address: string) => boolean
  /** Told of every request once, when it is over. */
  readonly onEnd: (end: RequestEnd) => void
}

/** One request as it comes from a server, whichever version of HTTP that speaks. */
export interface Incoming {
  readonly req: IncomingMessage
  readonly res: ServerResponse | Http2ServerResponse
  readonly answer: ClientAnswer
  readonly secure: boolean
  readonly upgrade: UpgradeOffer | undefined
}

export type App = (incoming: Incoming) => void

const noFields: RawFields = []
const allowedMethods = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'

export function createApp({ rules, clientAddress, isTrusted, onEnd }: AppParts): App {
  const turns = new FairTurns()

  return (incoming) => {
    const { req, answer } = incoming
    const address = clientAddress(req)
    const peer = peerAddress(req)
    const visitor = {
      address,
      peer,
      isIntroduced: address !== peer || isTrusted(peer),
      subject: addressSubject(address),
      arrivedMs: performance.now(),
      onEnd,
    }
    // Before all that costs: a client that sends many requests at once delays its own.
    turns.take(visitor.subject, () => {
      const visit = new Visit(incoming, visitor)
      if (answer.gone) visit.answeredHere(CLIENT_CLOSED_REQUEST)
      else judge(visit, rules())
    })
  }
}

/** All that a request passes, in order, and why in this order. */
function judge(visit: Visit, now: Rules): void {
  const { req } = visit.incoming
  // Before anything reads the request: what Node lets by and nobody may read in two ways.
  const fault = now.faultOf(req)
  if (fault) return visit.refuseFaulty(fault)
  // Before anything is given: to those who are not to be served, not even the own endpoints.
  if (now.isDenied(visit.client.address)) return visit.refuse(new ProxyError('client_denied'))
  // Before the limiter: whoever watches the edge does not use up what clients have.
  if (now.endpoints.answer(visit)) return undefined
  // As if it were not there, for everyone and whatever is behind.
  if (now.hiddenPaths.isHidden(visit.target)) return visit.refuse(new ProxyError('not_found'))
  // Before anything waits: what is held for a request is bounded for its client, and for all.
  const over = visit.holdHead(now.shares)
  if (over) return visit.refuse(over)
  const verdict = now.limiter?.judge(req, visit.client.address)
  if (verdict instanceof Promise) return void admitLater(visit, now, verdict)
  return admit(visit, now, verdict)
}

/** While the fleet is asked, the client may leave. */
async function admitLater(visit: Visit, rules: Rules, verdict: Promise<Verdict>): Promise<void> {
  try {
    const decided = await verdict
    if (visit.incoming.answer.gone) visit.answeredHere(CLIENT_CLOSED_REQUEST)
    else admit(visit, rules, decided)
  } catch (error) {
    visit.refuse(ProxyError.from(error))
  }
}

function admit(visit: Visit, rules: Rules, verdict: Verdict | undefined): void {
  const answerFields = verdict?.fields ?? noFields
  if (verdict?.kind === 'limited') {
    const { retryAfterSeconds } = verdict
    const message = 'You have asked more than you may; try again after the time in Retry-After'
    return visit.refuse(new ProxyError('rate_limited', { retryAfterSeconds, message }), answerFields)
  }
  return forward(visit, rules, answerFields)
}

function forward(visit: Visit, rules: Rules, answerFields: RawFields): void {
  const route = rules.routes.routeFor(visit.target)
  const { upstreams, maxBodyBytes = rules.maxBodyBytes } = route
  const group = rules.groups.get(upstreams)
  if (group === undefined) return visit.refuse(new ProxyError('no_backend', { retryAfterSeconds: 1 }), answerFields)
  if (isLooping(visit.fields)) return visit.refuse(new ProxyError('loop_detected'), answerFields)
  if (isTooLong(visit.fields, maxBodyBytes)) return visit.refuse(new ProxyError('payload_too_large'), answerFields)
  const maxForwards = nextMaxForwards(visit.method, visit.fields.maxForwards)
  if (maxForwards.kind === 'answer here') return visit.answerOptions(answerFields)
  visit.fields.maxForwards = maxForwards.value
  const { req, answer, upgrade } = visit.incoming
  return new ForwardedRequest(rules.forward, {
    req,
    answer,
    method: visit.method,
    target: visit.target,
    fields: visit.fields,
    from: visit.client,
    subject: visit.subject,
    group,
    hostOf: group.config.host,
    hedgeAfterMs: route.hedgeAfterMs ?? (isOfJobs(visit.target) ? 0 : rules.hedgeAfterMs),
    maxBodyBytes,
    requestId: visit.requestId,
    answerFields: [...visit.idFields, ...answerFields],
    upgrade,
    onEnd: (end) => visit.end(end),
  }).start()
}

/** What bulk answers may be made while it is read; a route may say otherwise. */
function isOfJobs(target: string): boolean {
  return /^\/jobs(?:[/?]|$)/.test(target)
}

function isTooLong({ contentLength }: ForwardedHeaders, maxBodyBytes: number): boolean {
  return maxBodyBytes > 0 && contentLength !== undefined && Number(contentLength) > maxBodyBytes
}

/** Of one request, beside its fields. */
const requestBytes = 1024

/** What a head takes in memory: as RFC 9113 §6.5.2 has it, 32 bytes for each field beside its text. */
function headBytes({ rawHeaders, url = '' }: IncomingMessage): number {
  let bytes = requestBytes + url.length + rawHeaders.length * 16
  for (const text of rawHeaders) bytes += text.length
  return bytes
}

interface Visitor {
  readonly address: string
  readonly peer: string
  readonly isIntroduced: boolean
  /** Whose requests count together. */
  readonly subject: string
  /** `performance.now()` */
  readonly arrivedMs: number
  readonly onEnd: (end: RequestEnd) => void
}

/** One request on its way through the app. */
export class Visit {
  readonly incoming: Incoming
  readonly client: Client
  readonly subject: string
  readonly method: string
  readonly target: string
  readonly fields: ForwardedHeaders
  readonly requestId: string
  /** Asked by the machinery around the edge, not by a client. */
  isProbe = false
  readonly #startedMs: number
  readonly #onEnd: (end: RequestEnd) => void
  #memory: SharedQuota | undefined
  #headBytes = 0

  constructor(incoming: Incoming, { address, peer, isIntroduced, subject, arrivedMs, onEnd }: Visitor) {
    const { req, secure } = incoming
    this.incoming = incoming
    this.client = { address, peer, isIntroduced, secure }
    this.subject = subject
    this.#startedMs = arrivedMs
    this.method = req.method ?? ''
    this.target = req.url ?? ''
    this.fields = new ForwardedHeaders(req.rawHeaders)
    this.requestId = requestIdOf(this.fields.requestId)
    this.#onEnd = onEnd
  }

  /** Set on the answer, whoever it is from. */
  get idFields(): RawFields {
    return [REQUEST_ID, this.requestId]
  }

  /** Takes the memory of the head until the request is over. @returns what is said when there is none */
  holdHead({ memory, refusal }: ClientShares): ProxyError | undefined {
    const bytes = headBytes(this.incoming.req)
    const why = memory.take(this.subject, bytes)
    if (why !== undefined) return refusal('held_bytes', why)
    this.#memory = memory
    this.#headBytes = bytes
    return undefined
  }

  /** What follows on the connection cannot be trusted. */
  refuseFaulty(fault: RequestFault): void {
    this.incoming.answer.closeAfter()
    const allow = fault === 'method_not_allowed' ? ['Allow', allowedMethods] : noFields
    this.refuse(new ProxyError(fault), allow)
  }

  refuse(error: ProxyError, answerFields: RawFields = noFields): void {
    const { answer, upgrade } = this.incoming
    // A body that nobody reads is not waited for.
    if (this.fields.bringsBody || upgrade) answer.closeAfter()
    answer.error(error, [...this.idFields, ...answerFields])
    this.answeredHere(error.status, error)
  }

  /** To an OPTIONS that may not be passed on any more. */
  answerOptions(answerFields: RawFields): void {
    const fields = ['Allow', allowedMethods, 'Content-Length', '0', ...this.idFields, ...answerFields]
    const head = { status: 200, reason: 'OK', version: '1.1', fields, framing: 0, upgrade: undefined } as const
    this.incoming.answer.whole(head, fields, Buffer.alloc(0))
    this.answeredHere(200)
  }

  /** The answer did not come from a backend. */
  answeredHere(status: number, error?: ProxyError): void {
    this.end({ status, error, backend: undefined, retries: 0, fault: undefined })
  }

  end(end: ForwardEnd): void {
    const { requestId, method, target, client, isProbe } = this
    this.#memory?.release(this.subject, this.#headBytes)
    this.#memory = undefined
    const durationMs = performance.now() - this.#startedMs
    this.#onEnd({ ...end, requestId, method, target, client: client.address, isProbe, durationMs })
  }
}
