import type { IncomingMessage, RequestOptions } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { LookupFunction } from 'node:net'
import { http } from '@ipfleet/core/node-http.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'
import type { TargetPolicy } from '@ipfleet/net/target-policy.ts'
import type { TargetAddress } from '@ipfleet/net/target.ts'
import { retryAfterMs } from '@ipfleet/http-server/retry-after.ts'
import type { WebhookSigner } from './webhook-signer.ts'
import { judgeWebhook, webhookTarget } from './webhook-target.ts'

/**
 * Why a webhook was not delivered; a closed set, for logs, metrics and the job's JSON:
 *
 * - `refused`: the target policy forbids it. `unresolved`: the name has no addresses.
 * - `unreachable`: no connection, or it ended before an answer. `tls`: no trusted one.
 * - `timeout`: no answer within the deadline. `garbled`: the answer was not HTTP.
 * - `redirect`, `client_error`, `server_error`: 3xx, 4xx, 5xx. `gone`: 410, which wants no more of them.
 */
export const webhookFaults = [
  'refused',
  'unresolved',
  'unreachable',
  'tls',
  'timeout',
  'garbled',
  'redirect',
  'client_error',
  'server_error',
  'gone',
] as const

export type WebhookFault = (typeof webhookFaults)[number]

export interface WebhookMessage {
  /** The same for each attempt, so that receivers can recognise a repetition. */
  readonly id: string
  /** JSON */
  readonly body: string
}

export type DeliveryResult =
  | { readonly kind: 'delivered' }
  /** `askedMs`: what the receiver's Retry-After asks for. */
  | { readonly kind: 'failed'; readonly fault: WebhookFault; readonly askedMs?: number }

export interface WebhookSenderDeps {
  readonly policy: TargetPolicy
  readonly signer: WebhookSigner
  /** Of a whole attempt, from the look-up of the name to the end of the answer. Default 10 s. */
  readonly deadlineMs?: number
  /** PEM of the authorities of receivers' certificates. Default: those that Node trusts. */
  readonly ca?: string
}

/** The answer is not used. So much of it is read that a short one ends regularly. */
const maxAnswerBytes = 4096

export class WebhookSender {
  readonly #deps: WebhookSenderDeps

  constructor(deps: WebhookSenderDeps) {
    this.#deps = deps
  }

  /**
   * POSTs a message. The name is looked up once, and only an address that was judged is dialled; redirects are not
   * followed. Never rejects.
   */
  async send(url: URL, { id, body }: WebhookMessage): Promise<DeliveryResult> {
    const signal = AbortSignal.timeout(this.#deps.deadlineMs ?? 10_000)
    const verdict = await judgeWebhook(this.#deps.policy, url)
    if (verdict.kind !== 'allowed') return { kind: 'failed', fault: verdict.kind }
    const headers = {
      host: url.host,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      'user-agent': 'ipfleet',
      ...this.#deps.signer.sign(id, Date.now(), body),
    }
    try {
      const options = { ...this.#connectionTo(url, verdict.addresses), method: 'POST', headers, signal }
      const answer = await answerTo(url, options, body)
      await drop(answer)
      return endOf(answer)
    } catch (error) {
      return { kind: 'failed', fault: signal.aborted ? 'timeout' : faultOfError(error) }
    }
  }

  /** Host and the server name of TLS stay what the URL says; an address in a URL has no such name (RFC 6066 §3). */
  #connectionTo(url: URL, addresses: readonly TargetAddress[]): RequestOptions & { servername: string } {
    const { host = '', port, isAddress = false } = webhookTarget(url) ?? {}
    return {
      host,
      port,
      path: url.pathname + url.search,
      servername: isAddress ? '' : host,
      lookup: only(addresses),
      // A new connection, and not one that is open to an address that was judged earlier.
      agent: false,
      ...(this.#deps.ca !== undefined && { ca: this.#deps.ca }),
    }
  }
}

/** A resolver that gives the addresses that were judged, whatever it is asked. */
function only(addresses: readonly TargetAddress[]): LookupFunction {
  return (_hostname, { all }, callback) => {
    const [first] = addresses
    if (all === true) callback(null, [...addresses])
    else callback(null, first?.address ?? '', first?.family)
  }
}

function answerTo(url: URL, options: RequestOptions, body: string): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const request = (url.protocol === 'https:' ? requestHttps : http.request)(options)
  request.on('response', resolve)
  request.on('error', reject)
  // Without an error when the receiver switches protocols.
  request.on('close', () => reject(Object.assign(new Error('no answer'), { code: 'HPE_NONE' })))
  request.end(body)
  return promise
}

/** Only the status matters, however the rest ends. */
async function drop(answer: IncomingMessage): Promise<void> {
  let bytes = 0
  try {
    for await (const chunk of answer) {
      bytes += (chunk as Buffer).length
      if (bytes >= maxAnswerBytes) break
    }
  } catch {
    // It was cut off, or the deadline has passed.
  }
  answer.destroy()
}

function endOf({ statusCode = 0, headers }: IncomingMessage): DeliveryResult {
  const fault = faultOfStatus(statusCode)
  if (fault === undefined) return { kind: 'delivered' }
  const askedMs = retryAfterMs(headers['retry-after'], Date.now())
  return { kind: 'failed', fault, ...(askedMs !== undefined && { askedMs }) }
}

/** Undefined for 2xx. */
function faultOfStatus(status: number): WebhookFault | undefined {
  if (status >= 200 && status < 300) return undefined
  if (status === 410) return 'gone'
  if (status >= 300 && status < 400) return 'redirect'
  if (status >= 400 && status < 500) return 'client_error'
  return status >= 500 && status < 600 ? 'server_error' : 'garbled'
}

/** Codes of OpenSSL and of Node's TLS: CERT_HAS_EXPIRED, UNABLE_TO_VERIFY_LEAF_SIGNATURE, ERR_TLS_…, ERR_SSL_…, EPROTO. */
const tlsCode = /CERT|TLS|SSL|UNABLE_TO_|EPROTO|HOSTNAME_MISMATCH/

/** Of what node:http and node:https throw. */
function faultOfError(error: unknown): WebhookFault {
  const code = errorCode(error) ?? ''
  if (code.startsWith('HPE_')) return 'garbled'
  return tlsCode.test(code) ? 'tls' : 'unreachable'
}
