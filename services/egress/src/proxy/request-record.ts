import type { IncomingMessage } from 'node:http'
import type { Span } from '@ipfleet/core/span.ts'
import { parseTraceparent, type TraceContext } from '@ipfleet/core/trace-context.ts'
import { REQUEST_ID, requestIdOf } from '@ipfleet/http-server/request-id.ts'
import { authorityOf, type Target } from '@ipfleet/net/target.ts'
import { ForwardedHeaders } from '@ipfleet/proxy/forwarded-headers.ts'
import type { RawFields } from '@ipfleet/proxy/http1/exchange-types.ts'
import type { TunnelReport } from '@ipfleet/proxy/http1/tunnels.ts'
import { loggedPath } from '@ipfleet/telemetry/access-line.ts'
import { logFlatLine } from '@ipfleet/telemetry/flat-line.ts'
import type { HistogramSeries, HotHistogram } from '@ipfleet/telemetry/hot-metrics.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { Metrics } from '@ipfleet/telemetry/metrics.ts'
import { beginServerSpan, endServerSpan } from '@ipfleet/telemetry/tracing/http-spans.ts'
import type { Tracer } from '@ipfleet/telemetry/tracing/tracer.ts'
import type { Source } from '../sources/source-pool.ts'
import { isOwnLack } from '../dial/connect-failure.ts'
import { lackLog } from './lack-log.ts'
import type { Refusal } from './proxy-status.ts'

/** What stands for a method in logs and metrics where a client speaks SOCKS5. */
export const SOCKS5 = 'SOCKS5'

export interface RequestWatch {
  readonly tracer: Tracer
  readonly record: Pick<RequestRecord, 'requestEnded'>
}

/** What is known of one request, from its head to its end. */
export class RequestContext {
  readonly id: string
  readonly trace: TraceContext | undefined
  readonly method: string
  readonly client: string
  readonly fields: ForwardedHeaders
  user: string | undefined
  target: Target | undefined
  /** Of a request for a URL: path and query as the client wrote them; '' when it wrote none. */
  path = ''
  source: Source | undefined
  /** For the answer of an origin and that to CONNECT: the client's own request id, if it sent one. */
  readonly echoedId: RawFields
  /** Fields for any answer, from an origin or from the proxy. */
  answerFields: RawFields = []
  readonly #startedMs = performance.now()
  readonly #record: RequestWatch['record']
  readonly #span: Span | undefined
  #authority: string | undefined
  #ended = false

  constructor(req: Pick<IncomingMessage, 'method' | 'rawHeaders'>, client: string, { record, tracer }: RequestWatch) {
    this.method = req.method ?? ''
    this.client = client
    this.fields = new ForwardedHeaders(req.rawHeaders)
    this.id = requestIdOf(this.fields.requestId)
    const parent = parseTraceparent(this.fields.traceparent)
    // The target is told when it has been read: what the client wrote may hold a password.
    this.#span = beginServerSpan(tracer, { id: this.id, method: this.method, target: '', client, parent })
    this.trace = this.#span?.context ?? parent
    this.echoedId = this.id === this.fields.requestId ? [REQUEST_ID, this.id] : []
    this.#record = record
  }

  /** `host:port` of the target, when it is known. */
  get authority(): string | undefined {
    return (this.#authority ??= this.target && authorityOf(this.target))
  }

  /** The lines that tell an origin which trace it continues: the client's. None is begun for strangers. */
  get traceLines(): string {
    return parseTraceparent(this.fields.traceparent) ? this.fields.traceLines(this.#span?.context) : ''
  }

  get durationMs(): number {
    return performance.now() - this.#startedMs
  }

  /** Only the first call counts. */
  end(status: number, refusal?: Refusal): void {
    if (this.#ended) return
    this.#ended = true
    this.#record.requestEnded(this, status, refusal)
    this.#span?.set({
      'server.address': this.target?.host,
      'server.port': this.target?.port,
      'url.path': this.path.split('?', 1)[0] || undefined,
    })
    endServerSpan(this.#span, { status, code: refusal?.status, backend: this.source?.address })
  }
}

const methods = ['CONNECT', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', SOCKS5, 'other'] as const
const classes = ['1xx', '2xx', '3xx', '4xx', '5xx'] as const
const labels = { method: methods, status: classes } as const
/** From a refusal to what lasts longer than CONNECT_TIMEOUT_MS and ANSWER_TIMEOUT_SECONDS. */
const bucketsMs = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000]
const methodIndex = new Map<string, number>(methods.map((method, index) => [method, index]))

const tunnelEnds = ['closed', 'broken', 'idle', 'limit', 'stopped'] as const

/** What the source addresses under one item of IP_POOL have carried. */
export interface SourceUse {
  requests: number
  failures: number
  connectMs: number
  connects: number
  bytesUp: number
  bytesDown: number
  openTunnels: number
}

/** Counts and logs requests and tunnels: one line for each request, and one for each closed tunnel. */
export class RequestRecord {
  readonly uses = new Map<string, SourceUse>()
  /** By the error type of Proxy-Status. */
  readonly refusals = new Map<string, number>()
  readonly tunnelsEnded = Object.fromEntries(tunnelEnds.map((end) => [end, 0])) as Record<TunnelReport['end'], number>
  readonly #durations: HotHistogram<typeof labels>
  /** By method and class. */
  readonly #series: (HistogramSeries | undefined)[] = Array.from({ length: methods.length * classes.length })
  readonly #logger: Logger
  readonly #logLack: (code: string) => void

  constructor(metrics: Metrics, logger: Logger) {
    this.#logger = logger
    this.#logLack = lackLog(logger)
    this.#durations = metrics.hotHistogram({
      name: 'ipfleet_egress_request_duration_seconds',
      help: 'Time to the end of an answer, or until a tunnel stands, by method and status class.',
      labels,
      bucketsMs,
    })
  }

  readonly requestEnded = (context: RequestContext, status: number, refusal: Refusal | undefined): void => {
    const { method, source, durationMs } = context
    this.#durationsOf(method, status).observeMs(durationMs)
    if (source !== undefined) {
      const use = this.useOf(source)
      use.requests += 1
      if (refusal !== undefined) use.failures += 1
    }
    if (refusal !== undefined) {
      this.refusals.set(refusal.status, (this.refusals.get(refusal.status) ?? 0) + 1)
      if (isOwnLack(refusal.details)) this.#logLack(refusal.details)
    }
    this.#log(context, status, durationMs, refusal)
  }

  tunnelEnded(context: RequestContext, { end, durationMs, bytesUp, bytesDown }: TunnelReport): void {
    this.tunnelsEnded[end] = (this.tunnelsEnded[end] ?? 0) + 1
    const { id, trace, source, authority, client, user } = context
    if (source !== undefined) {
      const use = this.useOf(source)
      use.openTunnels -= 1
      use.bytesUp += bytesUp
      use.bytesDown += bytesDown
    }
    logFlatLine(this.#logger, 'info', 'tunnel closed', {
      id,
      trace_id: trace?.traceId,
      target: authority,
      source: source?.address,
      client,
      user,
      bytes_up: bytesUp,
      bytes_down: bytesDown,
      duration_ms: Math.round(durationMs),
      end,
    })
  }

  tunnelOpened(source: Source): void {
    this.useOf(source).openTunnels += 1
  }

  connected(source: Source, durationMs: number): void {
    const use = this.useOf(source)
    use.connects += 1
    use.connectMs += durationMs
  }

  useOf({ listedAs }: Pick<Source, 'listedAs'>): SourceUse {
    const known = this.uses.get(listedAs)
    if (known) return known
    const use = { requests: 0, failures: 0, connectMs: 0, connects: 0, bytesUp: 0, bytesDown: 0, openTunnels: 0 }
    this.uses.set(listedAs, use)
    return use
  }

  #durationsOf(asked: string, code: number): HistogramSeries {
    const methodAt = methodIndex.get(asked) ?? methods.length - 1
    const classAt = Math.min(Math.floor(code / 100), classes.length) - 1
    const at = methodAt * classes.length + classAt
    return (this.#series[at] ??= this.#durations.series({
      method: methods[methodAt] ?? 'other',
      status: classes[classAt] ?? '5xx',
    }))
  }

  #log(context: RequestContext, status: number, durationMs: number, refusal: Refusal | undefined): void {
    const { id, trace, method, path, client, user, authority, source } = context
    const fields = {
      id,
      trace_id: trace?.traceId,
      method,
      target: authority,
      path: method === 'CONNECT' || method === SOCKS5 ? undefined : loggedPath(path),
      status,
      latency_us: Math.round(durationMs * 1000),
      client,
      user,
      source: source?.address,
      refused: refusal?.status,
      details: refusal?.details,
    }
    const isOurs = refusal?.status === 'proxy_internal_error'
    if (isOurs) this.#logger.error({ ...fields, err: refusal.error.cause }, 'request')
    else {
      // Those of an origin are daily business.
      const ours = refusal === undefined ? undefined : status
      const isLimited = ours === 429
      const isWarning = isLimited || ours === 503
      logFlatLine(this.#logger, isWarning ? 'warn' : 'info', isLimited ? 'rate limited' : 'request', fields)
    }
  }
}
