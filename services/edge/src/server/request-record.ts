import type { UpstreamFault } from '@ipfleet/proxy/http1/upstream-fault.ts'
import type { AccessEntry } from '@ipfleet/telemetry/access-line.ts'
import type { AccessLog } from '@ipfleet/telemetry/access-log.ts'
import { failureOf } from '@ipfleet/telemetry/failure-fields.ts'
import type { HistogramSeries, HotHistogram } from '@ipfleet/telemetry/hot-metrics.ts'
import type { Metrics } from '@ipfleet/telemetry/metrics.ts'
import type { ForwardEnd } from '../proxy/forward-types.ts'

/** All that is told of one request, when it is over. */
export interface RequestEnd extends ForwardEnd {
  readonly requestId: string
  readonly traceId: string | undefined
  readonly method: string
  readonly target: string
  readonly client: string
  readonly isProbe: boolean
  readonly durationMs: number
}

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'other'] as const
type KnownMethod = (typeof methods)[number]

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

  readonly add = (end: RequestEnd): void => {
    this.#seriesOf(end.method, end.status).observeMs(end.durationMs)
    if (this.#accessLog.enabled || end.error !== undefined || end.fault !== undefined) this.#log(end)
  }

  #seriesOf(method: string, status: number): HistogramSeries {
    const methodAt = methodIndex.get(method) ?? methods.length - 1
    const at = methodAt * statuses.length + status - firstStatus
    const known = this.#series[at]
    if (known !== undefined) return known
    const labelled = { method: methods[methodAt] as KnownMethod, status: statuses[status - firstStatus] ?? '999' }
    const made = this.#histogram.series(labelled)
    this.#series[at] = made
    return made
  }

  #log(end: RequestEnd): void {
    const { requestId, traceId, method, target, status, durationMs, client, backend, retries, error, fault, isProbe } =
      end
    this.#accessLog.write({
      id: requestId,
      traceId,
      method,
      path: target,
      status,
      latencyUs: durationMs * 1000,
      client,
      backend,
      retries: retries === 0 ? undefined : retries,
      probe: isProbe,
      ...(error && failureOf(error)),
      ...(fault && faultFields(fault)),
    })
  }
}

/** Why a backend did not answer, for those who look after it. */
function faultFields({ kind, message, cause }: UpstreamFault): Pick<AccessEntry, 'fault' | 'detail' | 'cause'> {
  return { fault: kind, detail: message, cause: cause instanceof Error ? cause.message : undefined }
}
