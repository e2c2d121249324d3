import { request as requestTls } from 'node:https'
import { isIP } from 'node:net'
import { http } from '@ipfleet/core/node-http.ts'
import type { UpstreamTarget } from '@ipfleet/proxy/http1/exchange-types.ts'
import { abortAfter } from '@ipfleet/core/abort-after.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'

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
   * `reason`: for people: `answered 503`, `ECONNREFUSED`, `no answer within 2000 ms`. `isSilent`: there was no answer in
   * time, which proves little.
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
    return { kind: 'bad', reason: errorCode(error) ?? 'failed' }
  }
}

function statusOf({ target, authority, path }: HealthProbe, signal: AbortSignal): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const { address, port, tls } = target
  const headers = { host: authority, 'user-agent': 'ipfleet-edge', connection: 'close' }
  // RFC 6066 §3 allows no address in the server name; the certificate is then checked for the address itself.
  const servername = tls === undefined || isIP(tls.servername) !== 0 ? '' : tls.servername
  const options = { host: address, port, path, headers, signal, agent: false, servername }
  const outgoing = tls === undefined ? http.request(options) : requestTls(options)
  outgoing.on('error', reject)
  outgoing.on('response', (answer) => {
    answer.on('error', reject)
    answer.on('end', () => resolve(answer.statusCode ?? 0))
    answer.resume()
  })
  outgoing.on('upgrade', (answer, socket) => {
    socket.destroy()
    resolve(answer.statusCode ?? 0)
  })
  outgoing.end()
  return promise
}
