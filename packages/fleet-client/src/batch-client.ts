import { currentSpan, inSpan } from '@ipfleet/core/span.ts'
import { formatTraceparent } from '@ipfleet/core/trace-context.ts'
import { currentRequest, REQUEST_ID, type RequestScope } from '@ipfleet/http-server/request-id.ts'
import { retryAfterMs } from '@ipfleet/http-server/retry-after.ts'
import { parseJson } from '@ipfleet/core/json.ts'
import { type BatchValue, batchValues, valueOfRefusal } from './batch-values.ts'
import { FleetAway, type FleetClient, type FleetText } from './fleet-client.ts'

export interface BatchClientOptions {
  readonly fleet: FleetClient
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
  readonly #headers: Readonly<Record<string, string>>

  constructor(options: BatchClientOptions) {
    this.#options = options
    this.#headers = {
      'content-type': 'application/json',
      // Compressing is work for both sides, and what is between them is fast as a rule.
      'accept-encoding': 'identity',
      'user-agent': 'ipfleet-bulk',
      // Also with 0: it says that this is no live look-up.
      'ipfleet-live-reserve': String(options.liveReservePercent),
    }
  }

  /** @throws the signal's reason when it aborts, and nothing else */
  ask(addresses: readonly string[], signal: AbortSignal): Promise<BatchReply> {
    const attributes = () => ({
      'http.request.method': 'POST',
      'url.full': `${this.#options.fleet.url}/batch`,
      'ipfleet.items': addresses.length,
    })
    return inSpan({ name: 'POST', kind: 'client', attributes }, () => this.#ask(addresses, signal))
  }

  async #ask(addresses: readonly string[], signal: AbortSignal): Promise<BatchReply> {
    const { fleet, timeoutMs } = this.#options
    const startedMs = performance.now()
    const timeout = AbortSignal.timeout(timeoutMs)
    try {
      const reply = await fleet.askText({
        method: 'POST',
        path: 'batch',
        headers: { ...this.#headers, ...fieldsOf(currentRequest()) },
        body: JSON.stringify(addresses),
        idleMs: timeoutMs,
        signal: AbortSignal.any([signal, timeout]),
      })
      return batchReply(reply, addresses, performance.now() - startedMs)
    } catch (error) {
      signal.throwIfAborted()
      if (timeout.aborted || (error instanceof FleetAway && error.isSilence))
        return { kind: 'failed', reason: 'timeout' }
      const detail = error instanceof FleetAway ? error.code : undefined
      return { kind: 'failed', reason: 'unreachable', ...(detail !== undefined && { detail }) }
    }
  }
}

/** With them, the fleet logs the batch under the id of the request that brought the job, and in its trace. */
function fieldsOf(request: RequestScope | undefined): Readonly<Record<string, string>> {
  if (request === undefined) return {}
  const trace = currentSpan()?.context ?? request.trace
  return { [REQUEST_ID]: request.id, ...(trace && { traceparent: formatTraceparent(trace) }) }
}

function batchReply(reply: FleetText, addresses: readonly string[], durationMs: number): BatchReply {
  const { status, header, text } = reply
  const body = parseJson(text)
  if (status !== 200) return refusal(reply, body, addresses, durationMs)
  const values = batchValues(body)
  if (values === undefined) return { kind: 'failed', reason: 'invalid', detail: 'not an object of answers' }
  return {
    kind: 'answered',
    values,
    cached: cachedIn(header('ipfleet-items')),
    units: Number(header('ipfleet-units') ?? 0),
    liveRate: Number(header('ipfleet-live-rate') ?? 0),
    durationMs,
  }
}

/**
 * A batch is refused like a single address if none of its addresses could be answered. The refusal is the answer to each,
 * unless the fleet is only busy.
 */
function refusal(
  { status, header }: FleetText,
  body: unknown,
  addresses: readonly string[],
  durationMs: number,
): BatchReply {
  const value = status >= 500 ? valueOfRefusal(status, body) : undefined
  if (value !== undefined && (status !== 503 || value.kind === 'error')) {
    const values = new Map(addresses.map((address) => [address, value]))
    return { kind: 'answered', values, cached: 0, units: 0, liveRate: 0, durationMs }
  }
  const askedForMs = retryAfterMs(header('retry-after'), Date.now())
  const reason = status === 429 || status === 503 ? 'busy' : status >= 500 ? 'failed' : 'refused'
  return {
    kind: 'failed',
    reason,
    detail: `status ${status}`,
    ...(askedForMs !== undefined && { retryAfterMs: askedForMs }),
  }
}

/** How many items had a cached source, by `Ipfleet-Items`, a dictionary of numbers (RFC 9651 §3.2): `l1=3, upstream=95`. */
function cachedIn(field = ''): number {
  const members = field.matchAll(/(?:^|,)\s*([a-z*][\w.*-]*)=(\d{1,15})(?=\s*(?:,|$))/g)
  return [...members].reduce((sum, [, source = '', count]) => sum + (cachedSources.has(source) ? Number(count) : 0), 0)
}
