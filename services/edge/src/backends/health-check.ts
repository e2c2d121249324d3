import { abortAfter } from '@ipfleet/core/abort-after.ts'
import { AwaitedStatus } from '@ipfleet/proxy/http1/awaited-status.ts'
import { Exchange } from '@ipfleet/proxy/http1/exchange.ts'
import type { UpstreamTarget } from '@ipfleet/proxy/http1/exchange-types.ts'
import { type ConnectionOwner, UpstreamConnection } from '@ipfleet/proxy/http1/upstream-connection.ts'
import { UpstreamFault } from '@ipfleet/proxy/http1/upstream-fault.ts'

export interface HealthProbe {
  readonly target: UpstreamTarget
  /** What Host says. */
  readonly authority: string
  readonly path: string
  /** For the whole check, from connecting to the end of the answer. */
  readonly timeoutMs: number
}

export type HealthVerdict =
  | { readonly kind: 'good' }
  /**
   * `reason`: for people: `answered 503`, `ECONNREFUSED`, `no answer within 2000 ms`, or what was wrong with the answer.
   * `isSilent`: there was no answer in time, which proves little.
   */
  | { readonly kind: 'bad'; readonly reason: string; readonly isSilent?: true }

/** One check. Never rejects; what comes of a check after `signal` has no meaning. */
export type HealthCheck = (question: HealthProbe, signal: AbortSignal) => Promise<HealthVerdict>

/**
 * Asks once, with GET on a connection of its own: a kept one would not show that no new one can be made. Good is a
 * 2xx whose body came to its end in time.
 */
export const checkHealth: HealthCheck = async (question, signal) => {
  const { timeoutMs } = question
  const deadline = abortAfter(timeoutMs)
  try {
    const status = await statusOf(question, AbortSignal.any([signal, deadline]))
    return status >= 200 && status < 300 ? { kind: 'good' } : { kind: 'bad', reason: `answered ${status}` }
  } catch (error) {
    if (deadline.aborted) return { kind: 'bad', reason: `no answer within ${timeoutMs} ms`, isSilent: true }
    return { kind: 'bad', reason: error instanceof UpstreamFault ? error.reason : 'failed' }
  }
}

/** Reads the answer as those to clients are read: what they can get is good, and what is refused them is bad. */
async function statusOf({ target, authority, path }: HealthProbe, signal: AbortSignal): Promise<number> {
  signal.throwIfAborted()
  const head = `GET ${path} HTTP/1.1\r\nHost: ${authority}\r\nUser-Agent: ipfleet-edge\r\nConnection: close\r\n`
  const awaited = new AwaitedStatus('whole', signal)
  const connection = UpstreamConnection.to(target, new Exchange({ method: 'GET', head, body: 'none' }, awaited), sole)
  try {
    return await awaited.status
  } finally {
    connection.drop()
  }
}

/** Of a connection whose time is that of the check. */
const sole: ConnectionOwner = {
  closes: false,
  timeouts: () => ({ connectTimeoutMs: Infinity, answerTimeoutMs: Infinity, idleTimeoutMs: Infinity, keepAliveMs: 0 }),
  freed: (connection) => connection.drop(),
  gone: () => {},
  setAside: () => undefined,
}
