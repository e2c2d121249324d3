import { formatTraceparent } from '@ipfleet/core/trace-context.ts'
import { currentRequest, REQUEST_ID, type RequestScope } from '@ipfleet/http-server/request-id.ts'
import { retryAfterMs } from '@ipfleet/http-server/retry-after.ts'
import { parseJson } from '@ipfleet/core/json.ts'
import { type BatchValue, batchValues, valueOfRefusal } from './batch-values.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'

export interface BatchClientOptions {
  /** Of the fleet, without a path. */
  readonly url: string
  readonly token?: string | undefined
  readonly timeoutMs: number
  /** The part of each key's quota that is left to live look-ups. */
  readonly liveReservePercent: number
}

export type BatchFailure = 'busy' | 'unreachable' | 'timeout' | 'failed' | 'invalid' | 'refused'

export type BatchReply =
  | {
      readonly kind: 'answered'
      readonly values: ReadonlyMap<string, BatchValue>
      /** Addresses for which upstream was not asked. */
      readonly cached: number
      /** Requests to upstream. */
      readonly units: number
      /** Live look-ups a second, at the replica that has answered. */
      readonly liveRate: number
      readonly durationMs: number
    }
  | {
      readonly kind: 'failed'
      readonly reason: BatchFailure
      /** What the fleet asks for. */
      readonly retryAfterMs?: number
      readonly detail?: string
    }

/** Sources of answers for which upstream was not asked, as `Ipfleet-Items` names them. */
const cachedSources: ReadonlySet<string> = new Set(['l1', 'l2', 'stale', 'collapsed', 'local', 'offline'])

/** Asks the fleet's `POST /batch`. */
export class BatchClient {
  readonly #options: BatchClientOptions
  readonly #url: URL
  readonly #headers: Readonly<Record<string, string>>

  constructor(options: BatchClientOptions) {
    this.#options = options
    this.#url = new URL('/batch', options.url)
    this.#headers = {
      'Content-Type': 'application/json',
      // By default fetch asks for a compressed answer: work for both sides on a fast network.
      'Accept-Encoding': 'identity',
      'User-Agent': 'ipfleet-bulk',
      // Also with 0: it says that this is no live look-up.
      'Ipfleet-Live-Reserve': String(options.liveReservePercent),
      ...(options.token !== undefined && { Authorization: `Bearer ${options.token}` }),
    }
  }

  /** @throws the signal's reason when it aborts, and nothing else */
  async ask(addresses: readonly string[], signal: AbortSignal): Promise<BatchReply> {
    const startedMs = performance.now()
    const timeout = AbortSignal.timeout(this.#options.timeoutMs)
    try {
      const response = await fetch(this.#url, {
        method: 'POST',
        headers: { ...this.#headers, ...fieldsOf(currentRequest()) },
        body: JSON.stringify(addresses),
        redirect: 'manual',
        signal: AbortSignal.any([signal, timeout]),
      })
      const body = parseJson(await response.text())
      const durationMs = performance.now() - startedMs
      if (response.status !== 200) return refusal(response, body, addresses, durationMs)
      const values = batchValues(body)
      if (values === undefined) return { kind: 'failed', reason: 'invalid', detail: 'not an object of answers' }
      const cached = cachedIn(response.headers.get('ipfleet-items'))
      const units = Number(response.headers.get('ipfleet-units') ?? 0)
      const liveRate = Number(response.headers.get('ipfleet-live-rate') ?? 0)
      return { kind: 'answered', values, cached, units, liveRate, durationMs }
    } catch (error) {
      signal.throwIfAborted()
      if (timeout.aborted) return { kind: 'failed', reason: 'timeout' }
      return { kind: 'failed', reason: 'unreachable', detail: why(error) }
    }
  }
}

/** With them, the fleet logs the batch under the id of the request that brought the job, and in its trace. */
function fieldsOf(request: RequestScope | undefined): Readonly<Record<string, string>> {
  if (request === undefined) return {}
  const { id, trace } = request
  return { [REQUEST_ID]: id, ...(trace && { traceparent: formatTraceparent(trace) }) }
}

/**
 * A batch is refused like a single address if none of its addresses could be answered. The refusal is the answer to each,
 * unless the fleet is only busy.
 */
function refusal(
  { status, headers }: Response,
  body: unknown,
  addresses: readonly string[],
  durationMs: number,
): BatchReply {
  const value = status >= 500 ? valueOfRefusal(status, body) : undefined
  if (value !== undefined && (status !== 503 || value.kind === 'error')) {
    const values = new Map(addresses.map((address) => [address, value]))
    return { kind: 'answered', values, cached: 0, units: 0, liveRate: 0, durationMs }
  }
  const askedForMs = retryAfterMs(headers.get('retry-after') ?? undefined, Date.now())
  const reason = status === 429 || status === 503 ? 'busy' : status >= 500 ? 'failed' : 'refused'
  return {
    kind: 'failed',
    reason,
    detail: `status ${status}`,
    ...(askedForMs !== undefined && { retryAfterMs: askedForMs }),
  }
}

/** How many items had a cached source, by `Ipfleet-Items`, a dictionary of numbers (RFC 9651 §3.2): `l1=3, upstream=95`. */
function cachedIn(field: string | null): number {
  const members = (field ?? '').matchAll(/(?:^|,)\s*([a-z*][\w.*-]*)=(\d{1,15})(?=\s*(?:,|$))/g)
  return [...members].reduce((sum, [, source = '', count]) => sum + (cachedSources.has(source) ? Number(count) : 0), 0)
}

/** `fetch failed` says little; its cause has the code. */
function why(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  return errorCode(cause) ?? (cause instanceof Error ? cause.name : 'unknown')
}
