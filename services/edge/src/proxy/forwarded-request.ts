import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { Span } from '@ipfleet/core/span.ts'
import type { UpstreamFault } from '@ipfleet/proxy/http1/upstream-fault.ts'
import type { AnswerHead } from '@ipfleet/proxy/http1/exchange-types.ts'
import { fieldOf, type RawFields } from '@ipfleet/proxy/http1/raw-fields.ts'
import { passedFields } from '@ipfleet/proxy/forwarded-headers.ts'
import { ProxiedRequest } from '@ipfleet/proxy/relay/proxied-request.ts'
import type { Begin, RelayEnd } from '@ipfleet/proxy/relay/relay-types.ts'
import type { AttemptEnd, Backend } from '../backends/backend.ts'
import type { UpstreamGroup } from '../backends/upstream-group.ts'
import type { HedgeAfter } from '../config/edge-config.ts'
import type { Rules } from '../server/rules.ts'
import type { Hedgeable } from './hedge-watch.ts'
import { type RequestContext, requestHead } from './request-record.ts'
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

/** A backend that is being asked. */
interface Attempt {
  readonly backend: Backend
  /** `performance.now()` */
  readonly askedMs: number
  /** A child of that of the request, and what that of the backend is a child of. Undefined while tracing is off. */
  readonly span: Span | undefined
}

/** A request on its way to a backend, or to another one if that has not answered. It reads from `start` on. */
export class ForwardedRequest extends ProxiedRequest implements Hedgeable {
  place = -1
  readonly #deps: Rules['forward']
  readonly #context: RequestContext
  readonly #group: UpstreamGroup
  readonly #hedgeAfterMs: HedgeAfter
  readonly #tried: Backend[] = []
  #attempt: Attempt | undefined
  #hedge: Attempt | undefined
  #retries = 0
  /** Whether a backend may have seen the request, and counted it. */
  #wasSeen = false
  #holdsLongSlot = false
  #isFreed = false
  #fault: UpstreamFault | undefined
  #error: ProxyError | undefined

  /** @param hedgeAfterMs after how long without an answer another backend is asked too; 0: never */
  constructor(deps: Rules['forward'], context: RequestContext, group: UpstreamGroup, hedgeAfterMs: HedgeAfter) {
    super(deps, context)
    this.#deps = deps
    this.#context = context
    this.#group = group
    this.#hedgeAfterMs = hedgeAfterMs
  }

  start(): void {
    const { subject, upgrade, fields } = this.#context
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
    const turn = this.#deps.shares.turnOf(error, this.#context.subject, () => this.isOver)
    if (turn === undefined) return super.refuse(error)
    this.#deps.hedges.delete(this)
    this.#release(this.#attempt, 'unknown')
    this.#attempt = undefined
    this.holdBody()
    void this.#refuseLater(turn, error)
  }

  async #refuseLater(turn: Promise<void>, error: ProxyError): Promise<void> {
    await turn
    if (!this.isOver) super.refuse(error)
  }

  #askFirst(): void {
    const group = this.#group
    const backend = group.pick(this.#context.target, this.#tried)
    if (backend) this.#askBackend(backend)
    else this.refuse(new ProxyError('no_backend', { retryAfterSeconds: group.retryAfterSeconds() }))
  }

  protected answerFields(head: AnswerHead): RawFields {
    const { answerFields, req } = this.#context
    const fields = passedFields(head, req.httpVersion, 'x-backend', 'x-request-id')
    if (this.#deps.showBackend && this.#attempt) fields.push('X-Backend', this.#attempt.backend.id)
    fields.push(...answerFields)
    return fields
  }

  protected refusalFields(error: ProxyError): RawFields {
    this.#error = error
    return this.#context.answerFields
  }

  protected unanswered(fault: UpstreamFault): void {
    this.#deps.hedges.delete(this)
    this.#fault = fault
    this.#wasSeen ||= !fault.unsent
    // Some backends say 100 only when they read the body, and a client may announce one that it never sends.
    const isExcused = fault.kind === 'silent' && this.awaitsGo
    this.#release(this.#attempt, blamesBackend(fault) && !isExcused ? 'failed' : 'unknown')
    this.#attempt = undefined
    const next = mayRetry(fault, this.#context.method, this.hasBody) ? this.#nextBackend(fault) : undefined
    if (next) {
      this.#retries += 1
      this.#deps.record.retry(fault.kind)
      this.#askBackend(next)
    } else this.refuse(this.#errorOf(fault))
  }

  protected over(status: number, end: RelayEnd, fault = this.#fault): void {
    this.#deps.hedges.delete(this)
    if (this.#holdsLongSlot) this.#deps.shares.longAnswers.release(this.#context.subject)
    this.#holdsLongSlot = false
    this.#release(this.#attempt, attemptEnds[end])
    const { id: backend } = this.#attempt?.backend ?? this.#tried.at(-1) ?? {}
    this.#context.end({ status, backend, retries: this.#retries, fault, error: this.#error })
  }

  get askedMs(): number {
    return (this.#hedge ?? this.#attempt)?.askedMs ?? 0
  }

  get backendId(): string | undefined {
    return (this.#hedge ?? this.#attempt)?.backend.id
  }

  hedgeAfterMs(): number {
    if (this.#isFreed) return 0
    return this.#hedgeAfterMs === 'auto' ? this.#group.latency.hedgeAfterMs() : this.#hedgeAfterMs
  }

  free(): void {
    this.#isFreed = true
    this.hedge()
  }

  hedge(): void {
    const group = this.#group
    const { target, req } = this.#context
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
    const attempt = this.#begin(next)
    // Drops the hedge before, which has been as silent.
    this.askSecond(...this.#asking(attempt))
    this.#hedge = attempt
    // Behind those asked before.
    hedges.delete(this)
    hedges.add(this)
  }

  protected override hedgeWon(): void {
    const silent = this.#attempt
    // A backend that another one has outrun has failed only if it has answered no client meanwhile.
    if (silent) this.#release(silent, silent.backend.answeredMs < silent.askedMs ? 'failed' : 'unknown')
    this.#deps.record.hedges.won += 1
    this.#hedgeTakesOver()
  }

  protected override hedgeLost(fault: UpstreamFault | undefined): void {
    const hedge = this.#hedge
    this.#hedge = undefined
    this.#release(hedge, fault && blamesBackend(fault) ? 'failed' : 'unknown')
  }

  protected override firstFailed(fault: UpstreamFault): void {
    this.#fault = fault
    this.#release(this.#attempt, blamesBackend(fault) ? 'failed' : 'unknown')
    this.#hedgeTakesOver()
  }

  #hedgeTakesOver(): void {
    this.#attempt = this.#hedge
    this.#hedge = undefined
  }

  #noteAnswer(): void {
    const attempt = this.#attempt
    if (attempt === undefined) return
    const nowMs = performance.now()
    attempt.backend.answeredMs = nowMs
    this.#deps.hedges.delete(this)
    if (this.#mayHedge) this.#group.latency.add(nowMs - attempt.askedMs)
  }

  /** What changes nothing and has no body may be asked twice (RFC 9110 §9.2.1). Not where that is off, or nothing is retried. */
  get #mayHedge(): boolean {
    const { method, upgrade } = this.#context
    if (this.#hedgeAfterMs === 0 || this.#deps.attempts === 0) return false
    return !this.hasBody && !upgrade && (method === 'GET' || method === 'HEAD')
  }

  #errorOf(fault: UpstreamFault): ProxyError {
    if (fault.kind !== 'busy') return errorOf(fault)
    return this.#deps.shares.refusal('backend_connections', fault.limit === 'client_share' ? 'client' : 'all')
  }

  #askBackend(backend: Backend): void {
    const attempt = this.#begin(backend)
    this.#attempt = attempt
    // First, because it may be answered at once. A request that is asked anew is behind those asked before.
    if (this.#mayHedge) this.#deps.hedges.add(this)
    this.ask(...this.#asking(attempt))
  }

  #begin(backend: Backend): Attempt {
    const { span, method } = this.#context
    this.#tried.push(backend)
    const child = span?.child(method, 'client', {
      'http.request.method': method,
      'server.address': backend.authority,
      'http.request.resend_count': this.#retries || undefined,
    })
    return { backend, askedMs: performance.now(), span: child }
  }

  /** What `ask` and `askSecond` take. */
  #asking({ backend, span }: Attempt): [head: string, begin: Begin] {
    const { host: named } = this.#context.fields
    const host = this.#group.config.host === 'client' && named !== '' ? named : backend.authority
    const attempt = this.#wasSeen ? this.#retries + 1 : 1
    const head = requestHead(this.#context, { host, attempt, trace: span?.context })
    return [head, (request, handler) => backend.pool.exchange(request, handler)]
  }

  /**
   * Another backend, at last one that is left alone for its failures; or the same by a new connection, when it is alone
   * and only a kept one has died.
   */
  #nextBackend(fault: UpstreamFault): Backend | undefined {
    const group = this.#group
    const { target } = this.#context
    if (this.#retries >= this.#deps.attempts || !this.#deps.budget.take()) return undefined
    const other = group.pick(target, this.#tried) ?? group.pickEjected(target, this.#tried)
    return other ?? (fault.kind === 'lost' ? group.pick(target, []) : undefined)
  }

  #release(attempt: Attempt | undefined, end: AttemptEnd): void {
    if (attempt === undefined) return
    const { backend, span } = attempt
    span?.end({ 'error.type': end === 'failed' ? (this.#fault?.kind ?? end) : undefined })
    this.#group.done(backend, end, this.#fault?.message)
    this.#deps.record.end(backend.id, end)
  }
}

/** One that never ends by itself. */
function isEventStream({ fields }: AnswerHead): boolean {
  const contentType = fieldOf(fields, 'content-type')
  return contentType !== undefined && /^text\/event-stream\b/i.test(contentType)
}
