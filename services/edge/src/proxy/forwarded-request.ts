import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { UpstreamFault } from '@ipfleet/proxy/http1/upstream-fault.ts'
import type { AnswerHead } from '@ipfleet/proxy/http1/exchange-types.ts'
import { fieldOf, type RawFields } from '@ipfleet/proxy/http1/raw-fields.ts'
import { passedFields } from '@ipfleet/proxy/passed-fields.ts'
import { ProxiedRequest } from '@ipfleet/proxy/relay/proxied-request.ts'
import type { Begin, RelayEnd } from '@ipfleet/proxy/relay/relay-types.ts'
import type { AttemptEnd, Backend } from '../backends/backend.ts'
import { AttemptSpans } from './attempt-spans.ts'
import type { AdmittedRequest, ForwardDeps } from './forward-types.ts'
import type { Hedgeable } from './hedge-watch.ts'
import { requestHead } from './request-head.ts'
import { blamesBackend, errorOf, mayRetry } from './retries.ts'

/** How long a body is collected before a backend is asked all the same. */
const collectMs = 1000

const attemptEnds: Readonly<Record<RelayEnd, AttemptEnd>> = {
  answered: 'answered',
  broken: 'failed',
  // The backend had no part in it.
  refused: 'unknown',
  client_left: 'unknown',
}

/** A request on its way to a backend, or to another one if that has not answered. It reads from `start` on. */
export class ForwardedRequest extends ProxiedRequest implements Hedgeable {
  place = -1
  readonly #deps: ForwardDeps
  readonly #of: AdmittedRequest
  readonly #tried: Backend[] = []
  /** Undefined while tracing is off. */
  readonly #spans: AttemptSpans | undefined
  /** The backend that is being asked. */
  #backend: Backend | undefined
  #hedgeBackend: Backend | undefined
  /** When `#backend` was asked, and when its hedge (`performance.now()`). */
  #askedMs = 0
  #hedgeAskedMs = 0
  #retries = 0
  /** Whether a backend may have seen the request, and counted it. */
  #wasSeen = false
  #holdsLongSlot = false
  #isFreed = false
  #fault: UpstreamFault | undefined
  #error: ProxyError | undefined

  constructor(deps: ForwardDeps, request: AdmittedRequest) {
    super(deps, request)
    this.#deps = deps
    this.#of = request
    this.#spans = request.span && new AttemptSpans(request.span, request.method)
  }

  start(): void {
    const { subject, upgrade, fields } = this.#of
    const { shares, budget, bodyBufferBytes: maxBytes } = this.#deps
    budget.request()
    if (upgrade) {
      // What switches protocols becomes a tunnel.
      const why = shares.longAnswers.take(subject)
      if (why !== undefined) return this.refuse(shares.refusal('long_answers', why))
      this.#holdsLongSlot = true
    }
    // Who expects a 100 sends nothing before the backend has been asked.
    if (!this.hasBody || fields.expectsContinue || maxBytes === 0) return this.#askFirst()
    return this.collectBody({ maxBytes, maxMs: collectMs, memory: shares.memory, client: subject }, () =>
      this.#askFirst(),
    )
  }

  override answered(head: AnswerHead, whole: Buffer | undefined): void {
    this.#noteAnswer()
    const why = whole === undefined && isEventStream(head) ? this.setAside() : undefined
    if (why === undefined) super.answered(head, whole)
    else this.abandon(this.#deps.shares.refusal('long_answers', why))
  }

  /** A client that does not heed refusals waits for them. */
  protected override refuse(error: ProxyError): void {
    const turn = this.#deps.shares.turnOf(error, this.#of.subject, () => this.isOver)
    if (turn === undefined) return super.refuse(error)
    this.#deps.hedges.delete(this)
    if (this.#backend) this.#release(this.#backend, 'unknown')
    this.#backend = undefined
    this.holdBody()
    void this.#refuseLater(turn, error)
  }

  async #refuseLater(turn: Promise<void>, error: ProxyError): Promise<void> {
    await turn
    if (!this.isOver) super.refuse(error)
  }

  #askFirst(): void {
    const { group, target } = this.#of
    const backend = group.pick(target, this.#tried)
    if (backend) this.#askBackend(backend)
    else this.refuse(new ProxyError('no_backend', { retryAfterSeconds: group.retryAfterSeconds() }))
  }

  protected answerFields(head: AnswerHead): RawFields {
    const { answerFields, req } = this.#of
    const fields = passedFields(head, req.httpVersion, 'x-backend', 'x-request-id')
    const backend = this.#deps.showBackend ? this.#backend : undefined
    if (backend) fields.push('X-Backend', backend.id)
    if (answerFields.length > 0) fields.push(...answerFields)
    return fields
  }

  protected refusalFields(error: ProxyError): RawFields {
    this.#error = error
    return this.#of.answerFields
  }

  protected unanswered(fault: UpstreamFault): void {
    this.#deps.hedges.delete(this)
    this.#fault = fault
    this.#wasSeen ||= !fault.unsent
    if (this.#backend) this.#release(this.#backend, blamesBackend(fault) ? 'failed' : 'unknown')
    this.#backend = undefined
    const next = mayRetry(fault, this.#of.method, this.hasBody) ? this.#nextBackend(fault) : undefined
    if (next) {
      this.#retries += 1
      this.#deps.record.retry(fault.kind)
      this.#askBackend(next)
    } else this.refuse(this.#errorOf(fault))
  }

  protected over(status: number, end: RelayEnd, fault = this.#fault): void {
    const backend = this.#backend
    this.#deps.hedges.delete(this)
    if (this.#holdsLongSlot) this.#deps.shares.longAnswers.release(this.#of.subject)
    this.#holdsLongSlot = false
    if (backend) this.#release(backend, attemptEnds[end])
    const backendId = (backend ?? this.#tried.at(-1))?.id
    this.#of.onEnd({ status, backend: backendId, retries: this.#retries, fault, error: this.#error })
  }

  get askedMs(): number {
    return this.#hedgeBackend ? this.#hedgeAskedMs : this.#askedMs
  }

  get backendId(): string | undefined {
    return (this.#hedgeBackend ?? this.#backend)?.id
  }

  hedgeAfterMs(): number {
    const { hedgeAfterMs, group } = this.#of
    if (this.#isFreed) return 0
    if (hedgeAfterMs === 'auto') return group.latency.hedgeAfterMs()
    return hedgeAfterMs
  }

  free(): void {
    this.#isFreed = true
    this.hedge()
  }

  hedge(): void {
    const { group, target, req } = this.#of
    const { budget, record, hedges } = this.#deps
    if (req.headers.accept?.includes('text/event-stream') === true) return
    const next = group.pick(target, this.#tried)
    if (next === undefined) return
    if (!budget.take()) {
      group.done(next, 'unknown')
      return
    }
    this.#isFreed = false
    this.#retries += 1
    this.#wasSeen = true
    record.hedges.begun += 1
    const asking = this.#asking(next)
    // Drops the hedge before, which has been as silent.
    this.askSecond(...asking)
    this.#hedgeBackend = next
    this.#hedgeAskedMs = performance.now()
    // Behind those asked before.
    hedges.delete(this)
    hedges.add(this)
  }

  protected override hedgeWon(): void {
    const silent = this.#backend
    if (silent) this.#release(silent, this.#outrun(silent, this.#askedMs))
    this.#deps.record.hedges.won += 1
    this.#hedgeTakesOver()
  }

  protected override hedgeLost(fault: UpstreamFault | undefined): void {
    const hedge = this.#hedgeBackend
    this.#hedgeBackend = undefined
    if (hedge) this.#release(hedge, fault && blamesBackend(fault) ? 'failed' : 'unknown')
  }

  protected override firstFailed(fault: UpstreamFault): void {
    this.#fault = fault
    if (this.#backend) this.#release(this.#backend, blamesBackend(fault) ? 'failed' : 'unknown')
    this.#hedgeTakesOver()
  }

  #hedgeTakesOver(): void {
    this.#backend = this.#hedgeBackend
    this.#askedMs = this.#hedgeAskedMs
    this.#hedgeBackend = undefined
  }

  /** A backend that another one has outrun has failed only if it has answered no client meanwhile. */
  #outrun({ answeredMs }: Backend, askedMs: number): AttemptEnd {
    return answeredMs < askedMs ? 'failed' : 'unknown'
  }

  #noteAnswer(): void {
    const backend = this.#backend
    if (backend === undefined) return
    backend.answeredMs = performance.now()
    this.#deps.hedges.delete(this)
    if (this.#mayHedge) this.#of.group.latency.add(backend.answeredMs - this.#askedMs)
  }

  /** What changes nothing and has no body may be asked twice (RFC 9110 §9.2.1). Not where that is off, or nothing is retried. */
  get #mayHedge(): boolean {
    const { method, upgrade, hedgeAfterMs } = this.#of
    if (hedgeAfterMs === 0 || this.#deps.attempts === 0) return false
    return !this.hasBody && !upgrade && (method === 'GET' || method === 'HEAD')
  }

  #errorOf(fault: UpstreamFault): ProxyError {
    if (fault.kind !== 'busy') return errorOf(fault)
    return this.#deps.shares.refusal('backend_connections', fault.limit === 'client_share' ? 'client' : 'all')
  }

  #askBackend(backend: Backend): void {
    this.#backend = backend
    this.#askedMs = performance.now()
    // First, because it may be answered at once. A request that is asked anew is behind those asked before.
    if (this.#mayHedge) this.#deps.hedges.add(this)
    this.ask(...this.#asking(backend))
  }

  /** What `ask` and `askSecond` take. */
  #asking(backend: Backend): [head: string, begin: Begin] {
    const { method, target, req, fields, from, hostOf, requestId } = this.#of
    this.#tried.push(backend)
    const host = hostOf === 'client' && fields.host !== '' ? fields.host : backend.authority
    const line = { method, target, httpVersion: req.httpVersion }
    const attempt = this.#wasSeen ? this.#retries + 1 : 1
    const trace = this.#spans?.begin(backend, this.#retries)
    const head = requestHead(line, fields, from, { host, requestId, attempt, trace })
    return [head, (request, handler) => backend.pool.exchange(request, handler)]
  }

  /**
   * Another backend, at last one that is left alone for its failures; or the same by a new connection, when it is alone
   * and only a kept one has died.
   */
  #nextBackend(fault: UpstreamFault): Backend | undefined {
    const { group, target } = this.#of
    if (this.#retries >= this.#deps.attempts || !this.#deps.budget.take()) return undefined
    const other = group.pick(target, this.#tried) ?? group.pickEjected(target, this.#tried)
    return other ?? (fault.kind === 'lost' ? group.pick(target, []) : undefined)
  }

  #release(backend: Backend, end: AttemptEnd): void {
    this.#spans?.end(backend, end === 'failed' ? (this.#fault?.kind ?? end) : undefined)
    this.#of.group.done(backend, end, this.#fault?.message)
    this.#deps.record.end(backend.id, end)
  }
}

/** One that never ends by itself. */
function isEventStream({ fields }: AnswerHead): boolean {
  const contentType = fieldOf(fields, 'content-type')
  return contentType !== undefined && /^text\/event-stream\b/i.test(contentType)
}
