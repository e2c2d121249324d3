import type { IncomingMessage } from 'node:http'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { Span } from '@ipfleet/core/span.ts'
import { parseTraceparent, type TraceContext } from '@ipfleet/core/trace-context.ts'
import { ATTEMPT } from '@ipfleet/http-server/further-attempt.ts'
import type { RequestFault } from '@ipfleet/http-server/request-guard.ts'
import { REQUEST_ID, requestIdOf } from '@ipfleet/http-server/request-id.ts'
import { ForwardedHeaders } from '@ipfleet/proxy/forwarded-headers.ts'
import type { RawFields } from '@ipfleet/proxy/http1/exchange-types.ts'
import type { SharedQuota } from '@ipfleet/proxy/http1/shared-quota.ts'
import type { UpstreamFault } from '@ipfleet/proxy/http1/upstream-fault.ts'
import type { AnswerStart, ClientAnswer, UpgradeOffer } from '@ipfleet/proxy/relay/client-answer.ts'
import type { ProxiedClient } from '@ipfleet/proxy/relay/relay-types.ts'
import type { AccessLog } from '@ipfleet/telemetry/access-log.ts'
import { failureOf } from '@ipfleet/telemetry/failure-fields.ts'
import type { HistogramSeries, HotHistogram } from '@ipfleet/telemetry/hot-metrics.ts'
import type { Metrics } from '@ipfleet/telemetry/metrics.ts'
import { probePaths } from '@ipfleet/telemetry/probe-replies.ts'
import { beginServerSpan, endServerSpan } from '@ipfleet/telemetry/tracing/http-spans.ts'
import type { Tracer } from '@ipfleet/telemetry/tracing/tracer.ts'
import type { ClientShares } from '../limits/client-shares.ts'

/** One request as it comes from a server, whichever version of HTTP that speaks. */
export interface Incoming extends Pick<ProxiedClient, 'req' | 'answer' | 'upgrade'> {
  readonly secure: boolean
}

export interface Client {
  /** The address that the trusted proxies vouch for; '' where they say nothing that can be read. */
  readonly address: string
  /** Whose requests count together. */
  readonly subject: string
  /** The other end of the connection: the client itself, or a trusted proxy. */
  readonly peer: string
  /** Whether the other end is a trusted proxy, also one that asks for itself. */
  readonly isIntroduced: boolean
  readonly secure: boolean
}

export interface RequestWatch {
  readonly tracer: Tracer
  readonly record: Pick<RequestRecord, 'requestEnded'>
  /** Told of each answer of our own when all of it has been handed over, which the client may leave unread. */
  readonly onOwnAnswer: (answer: ClientAnswer) => void
}

export interface RequestEnd {
  /** What the client got; 499 if it left before. */
  readonly status: number
  /** Of an answer of our own. */
  readonly error?: ProxyError | undefined
  /** Who answered, or was asked last. */
  readonly backend?: string | undefined
  readonly retries?: number
  readonly fault?: UpstreamFault | undefined
}

const allowedMethods = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'

/** What is known of one request, from its head to its end. */
export class RequestContext implements ProxiedClient {
  readonly req: IncomingMessage
  readonly answer: ClientAnswer
  readonly upgrade: UpgradeOffer | undefined
  readonly client: Client
  readonly method: string
  readonly target: string
  readonly fields: ForwardedHeaders
  readonly id: string
  /** Undefined while tracing is off. */
  readonly span: Span | undefined
  readonly traceId: string | undefined
  /** Set on every answer, a backend's or our own. */
  answerFields: RawFields
  maxBodyBytes = 0
  /** Asked by those who operate the edge or its backends, not by a client. */
  isProbe: boolean
  readonly #arrivedMs: number
  readonly #watch: RequestWatch
  #memory: SharedQuota | undefined
  #headBytes = 0

  /** @param arrivedMs `performance.now()` */
  constructor({ req, answer, upgrade }: Incoming, client: Client, arrivedMs: number, watch: RequestWatch) {
    this.req = req
    this.answer = answer
    this.upgrade = upgrade
    this.client = client
    this.#arrivedMs = arrivedMs
    this.method = req.method ?? ''
    this.target = req.url ?? ''
    this.isProbe = probePaths.includes(this.target)
    this.fields = new ForwardedHeaders(req.rawHeaders)
    this.id = requestIdOf(this.fields.requestId)
    this.answerFields = [REQUEST_ID, this.id]
    const parent = parseTraceparent(this.fields.traceparent)
    const { id, method, target } = this
    this.span = beginServerSpan(watch.tracer, { id, method, target, client: client.address, parent })
    this.traceId = (this.span?.context ?? parent)?.traceId
    this.#watch = watch
  }

  get subject(): string {
    return this.client.subject
  }

  get durationMs(): number {
    return performance.now() - this.#arrivedMs
  }

  /** Takes the memory of the head until the request is over. @returns what is said when there is none */
  holdHead({ memory, refusal }: ClientShares): ProxyError | undefined {
    const bytes = headBytes(this.req)
    const why = memory.take(this.subject, bytes)
    if (why !== undefined) return refusal('held_bytes', why)
    this.#memory = memory
    this.#headBytes = bytes
    return undefined
  }

  /** Ends the connection too: what follows on it cannot be trusted. */
  refuseFaulty(fault: RequestFault): void {
    this.answer.closeAfter()
    this.refuse(new ProxyError(fault), fault === 'method_not_allowed' ? ['Allow', allowedMethods] : [])
  }

  refuse(error: ProxyError, fields: RawFields = []): void {
    this.#dropBody()
    this.answer.error(error, [...this.answerFields, ...fields])
    this.#watch.onOwnAnswer(this.answer)
    this.end({ status: error.status, error })
  }

  /** An answer of our own that is no error. HEAD gets its fields only. */
  answerWhole(start: Omit<AnswerStart, 'framing'>, fields: RawFields, body: Buffer): void {
    const all = [...fields, 'Content-Length', String(body.length), ...this.answerFields]
    this.answer.whole(start, all, this.method === 'HEAD' ? Buffer.alloc(0) : body)
    this.#watch.onOwnAnswer(this.answer)
    this.end({ status: start.status })
  }

  /** To an OPTIONS that is about this server, or may not be passed on any more. */
  answerOptions(): void {
    this.#dropBody()
    this.answerWhole({ status: 200, reason: 'OK' }, ['Allow', allowedMethods], Buffer.alloc(0))
  }

  end(end: RequestEnd): void {
    this.#memory?.release(this.subject, this.#headBytes)
    this.#memory = undefined
    const { status, error, backend, retries = 0 } = end
    if (this.span) endServerSpan(this.span, { status, backend, retries, code: error?.code, probe: this.isProbe })
    this.#watch.record.requestEnded(this, end)
  }

  /** The rest of a body is not waited for. */
  #dropBody(): void {
    if (this.fields.bringsBody || this.upgrade) this.answer.closeAfter()
  }
}

/** Of one request, beside its fields. */
const requestBytes = 1024

/** What a head takes in memory: as RFC 9113 §6.5.2 has it, 32 bytes for each field beside its text. */
function headBytes({ rawHeaders, url = '' }: IncomingMessage): number {
  let bytes = requestBytes + url.length + rawHeaders.length * 16
  for (const text of rawHeaders) bytes += text.length
  return bytes
}

/** How this proxy calls itself in Via (RFC 9110 §7.6.3). */
const pseudonym = 'ipfleet-edge'
const maxPasses = 10

/** Whether the request has come through edges so often that it must be going in circles. */
export function isLooping({ via }: ForwardedHeaders): boolean {
  return via !== undefined && via.split(pseudonym).length > maxPasses
}

export interface HeadOptions {
  readonly host: string
  /** Of the span of this attempt; undefined: the client's goes on as it is. */
  readonly trace?: TraceContext | undefined
  /** More than 1: another backend may have seen the request, and counted it. */
  readonly attempt?: number
}

/** The request line and the fields for a backend, without the body's framing and the empty line at the end. */
export function requestHead(
  {
    method,
    target,
    fields,
    client,
    id,
    req,
  }: Pick<RequestContext, 'method' | 'target' | 'fields' | 'client' | 'id'> & {
    readonly req: Pick<IncomingMessage, 'httpVersion'>
  },
  { host, trace, attempt = 1 }: HeadOptions,
): string {
  // What a trusted proxy has said goes on; what anybody else said of itself does not.
  const vouched = client.isIntroduced
  const chain = vouched && fields.forwardedFor !== undefined ? `${fields.forwardedFor}, ${client.peer}` : client.peer
  const own = client.secure ? 'https' : 'http'
  const proto = vouched && isScheme(fields.forwardedProto) ? fields.forwardedProto : own
  const forwardedHost = vouched && fields.forwardedHost !== undefined ? fields.forwardedHost : fields.host
  const via = `${req.httpVersion} ${pseudonym}`
  return (
    `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${fields.lines}` +
    `X-Forwarded-For: ${chain}\r\nX-Forwarded-Proto: ${proto}\r\n` +
    (forwardedHost === '' ? '' : `X-Forwarded-Host: ${forwardedHost}\r\n`) +
    (client.address === '' ? '' : `X-Real-IP: ${client.address}\r\n`) +
    `X-Request-Id: ${id}\r\n${fields.traceLines(trace)}X-Proxy: ipfleet\r\n` +
    (attempt > 1 ? `${ATTEMPT}: ${attempt}\r\n` : '') +
    `Via: ${fields.via === undefined ? via : `${fields.via}, ${via}`}\r\n` +
    (fields.maxForwards === undefined ? '' : `Max-Forwards: ${fields.maxForwards}\r\n`) +
    (fields.expectsContinue ? 'Expect: 100-continue\r\n' : '')
  )
}

function isScheme(value: string | undefined): value is 'http' | 'https' {
  return value === 'http' || value === 'https'
}

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'other'] as const

const firstStatus = 100
const statuses = Array.from({ length: 900 }, (_, index) => String(firstStatus + index))
const labels = { method: methods, status: statuses } as const

/** The buckets of the proxy whose metric this is (seconds 0.001 to 10), and two finer ones for answers from near by. */
const bucketsMs = [0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]

const methodIndex = new Map<string, number>(methods.map((method, index) => [method, index]))

/** Requests in the metrics and in the access log. */
export class RequestRecord {
  readonly #histogram: HotHistogram<typeof labels>
  /** By method and status: looking a series up by its labels costs more than all the rest here. */
  readonly #series: (HistogramSeries | undefined)[] = []
  readonly #accessLog: AccessLog

  constructor(metrics: Metrics, accessLog: AccessLog) {
    this.#accessLog = accessLog
    this.#histogram = metrics.hotHistogram({
      name: 'http_requests_duration_seconds',
      help: 'Time to answer by method and status; 499 is a client that left before.',
      labels,
      bucketsMs,
    })
  }

  requestEnded(context: RequestContext, end: RequestEnd): void {
    const { id, traceId, method, target, client, isProbe, durationMs } = context
    const { status, error, fault, backend, retries } = end
    this.#seriesOf(method, status).observeMs(durationMs)
    if (!this.#accessLog.enabled && error === undefined && fault === undefined) return
    this.#accessLog.write({
      id,
      traceId,
      method,
      path: target,
      status,
      latencyUs: durationMs * 1000,
      client: client.address,
      backend,
      retries: retries === 0 ? undefined : retries,
      probe: isProbe,
      ...(error && failureOf(error)),
      // Why a backend did not answer, for those who look after it.
      ...(fault && {
        fault: fault.kind,
        detail: fault.message,
        cause: fault.cause instanceof Error ? fault.cause.message : undefined,
      }),
    })
  }

  #seriesOf(method: string, status: number): HistogramSeries {
    const methodAt = methodIndex.get(method) ?? methods.length - 1
    const at = methodAt * statuses.length + status - firstStatus
    return (this.#series[at] ??= this.#histogram.series({
      method: methods[methodAt] ?? 'other',
      status: statuses[status - firstStatus] ?? '999',
    }))
  }
}
