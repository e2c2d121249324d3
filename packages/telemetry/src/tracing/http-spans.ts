import type { Span } from '@ipfleet/core/span.ts'
import type { TraceContext } from '@ipfleet/core/trace-context.ts'
import type { AccessEntry } from '../access-line.ts'
import type { Tracer } from './tracer.ts'

/** Attributes as in OpenTelemetry's semantic conventions for HTTP, stable since 1.23. */

export interface SpanRequest {
  readonly id: string
  readonly method: string
  /** The request target, or ''; its query is left out, since it may hold the client's token. */
  readonly target: string
  readonly client?: string | undefined
  /** What its traceparent says. */
  readonly parent: TraceContext | undefined
}

export type SpanEnd = Pick<
  AccessEntry,
  'status' | 'code' | 'cache' | 'keyId' | 'upstreamStatus' | 'retries' | 'backend' | 'probe'
>

/** Methods are names of spans, of which there must be few. */
const knownMethods = new Set('CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT TRACE'.split(' '))

/** The span of a request as this server sees it; undefined while tracing is off. */
export function beginServerSpan(tracer: Tracer, { id, method, target, client, parent }: SpanRequest): Span | undefined {
  const isKnown = knownMethods.has(method)
  return tracer.begin({
    name: isKnown ? method : 'HTTP',
    kind: 'server',
    parent,
    attributes: () => ({
      'http.request.method': isKnown ? method : '_OTHER',
      'url.path': target.split('?', 1)[0] || undefined,
      'client.address': client,
      'ipfleet.request.id': id,
    }),
  })
}

/** What the access log tells of the request; nothing of one that the machinery around the fleet has sent. */
export function endServerSpan(span: Span | undefined, end: SpanEnd): void {
  if (span === undefined || end.probe === true) return
  const { status, code, cache, keyId, upstreamStatus, retries, backend } = end
  span.end({
    'http.response.status_code': status,
    // A status of 4xx is the client's error, not the server's.
    'error.type': status >= 500 ? (code ?? String(status)) : undefined,
    'ipfleet.cache': cache,
    'ipfleet.key': keyId,
    'ipfleet.upstream.status': upstreamStatus,
    'ipfleet.retries': retries,
    'ipfleet.backend': backend,
  })
}
