import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { LinkHealth } from '@ipfleet/redis/link-health.ts'
import type { Exposition, ExpositionFormat } from '@ipfleet/telemetry/exposition.ts'
import { healthReply, metricsReply, type ProbeReply } from '@ipfleet/telemetry/probe-replies.ts'
import type { RequestContext } from '../proxy/request-record.ts'

export interface OperatorRoutesDeps {
  /** Undefined: there is none. */
  readonly metricsPath: string | undefined
  readonly mayReadMetrics: (address: string) => boolean
  readonly metricsPage: (format: ExpositionFormat) => Promise<Exposition>
  readonly probePath: string | undefined
  /** Undefined without Redis. */
  readonly redis: () => LinkHealth | undefined
  /** Whether this edge can serve. */
  readonly isReady: () => boolean
}

/** What the edge answers itself. A client that may not read the metrics gets what a backend has at their path. */
export class OperatorRoutes {
  readonly #deps: OperatorRoutesDeps

  constructor(deps: OperatorRoutesDeps) {
    this.#deps = deps
  }

  /** @returns whether the request was for one of them */
  answer(context: RequestContext): boolean {
    const { target, method, client } = context
    const { metricsPath, probePath, mayReadMetrics } = this.#deps
    const query = target.indexOf('?')
    const path = query < 0 ? target : target.slice(0, query)
    if (path !== metricsPath && path !== probePath) return false
    const isMetrics = path === metricsPath
    if (isMetrics && !mayReadMetrics(client.address)) return false
    context.isProbe = true
    if (method !== 'GET' && method !== 'HEAD') {
      context.refuse(new ProxyError('method_not_allowed'), ['Allow', 'GET, HEAD'])
    } else if (isMetrics) void this.#metrics(context)
    else this.#probe(context)
    return true
  }

  async #metrics(context: RequestContext): Promise<void> {
    try {
      send(context, await metricsReply(this.#deps.metricsPage, context.req.headers.accept))
    } catch (error) {
      // Another process did not tell in time what it has counted.
      context.refuse(new ProxyError('overloaded', { retryAfterSeconds: 1, cause: error }))
    }
  }

  /** What is wrong with Redis names hosts, so it is for those who may read the metrics. */
  #probe(context: RequestContext): void {
    const { isReady, redis, mayReadMetrics } = this.#deps
    const health = redis()
    const facts = mayReadMetrics(context.client.address) ? { redis: health } : {}
    send(context, healthReply(isReady(), facts, health))
  }
}

function send(context: RequestContext, { status, contentType, body: text }: ProbeReply): void {
  const reason = status === 200 ? 'OK' : 'Service Unavailable'
  const fields = ['Content-Type', contentType, 'Cache-Control', 'no-store']
  context.answerWhole({ status, reason }, fields, Buffer.from(text))
}
