import type { Visit } from './app.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { LinkHealth } from '@ipfleet/redis/link-health.ts'
import type { Exposition, ExpositionFormat } from '@ipfleet/telemetry/exposition.ts'
import { healthReply, metricsReply, type ProbeReply } from '@ipfleet/telemetry/probe-replies.ts'

export interface OwnEndpointsParts {
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

/** What the edge answers of itself. Whoever may not read the metrics gets what is behind, if anything. */
export class OwnEndpoints {
  readonly #parts: OwnEndpointsParts

  constructor(parts: OwnEndpointsParts) {
    this.#parts = parts
  }

  /** @returns whether the request was for one of them */
  answer(visit: Visit): boolean {
    const { target, method, client } = visit
    const { metricsPath, probePath, mayReadMetrics } = this.#parts
    const query = target.indexOf('?')
    const path = query < 0 ? target : target.slice(0, query)
    if (path !== metricsPath && path !== probePath) return false
    const isMetrics = path === metricsPath
    if (isMetrics && !mayReadMetrics(client.address)) return false
    visit.isProbe = true
    if (method !== 'GET' && method !== 'HEAD') {
      visit.refuse(new ProxyError('method_not_allowed'), ['Allow', 'GET, HEAD'])
    } else if (isMetrics) void this.#metrics(visit)
    else this.#probe(visit)
    return true
  }

  async #metrics(visit: Visit): Promise<void> {
    try {
      send(visit, await metricsReply(this.#parts.metricsPage, visit.incoming.req.headers.accept))
    } catch (error) {
      // Another process did not tell in time what it has counted.
      visit.refuse(new ProxyError('overloaded', { retryAfterSeconds: 1, cause: error }))
    }
  }

  /** What is wrong with Redis names hosts, so it is for those who may read the metrics. */
  #probe(visit: Visit): void {
    const { isReady, redis, mayReadMetrics } = this.#parts
    const health = redis()
    const facts = mayReadMetrics(visit.client.address) ? { redis: health } : {}
    send(visit, healthReply(isReady(), facts, health))
  }
}

function send(visit: Visit, { status, contentType, body: text }: ProbeReply): void {
  const { answer } = visit.incoming
  const body = Buffer.from(text)
  const fields = ['Content-Type', contentType, 'Content-Length', String(body.length), 'Cache-Control', 'no-store']
  fields.push(...visit.idFields)
  const head = {
    status,
    reason: status === 200 ? 'OK' : 'Service Unavailable',
    version: '1.1',
    upgrade: undefined,
  } as const
  const isHead = visit.method === 'HEAD'
  answer.whole({ ...head, fields, framing: isHead ? 'none' : body.length }, fields, isHead ? Buffer.alloc(0) : body)
  visit.answeredHere(status)
}
