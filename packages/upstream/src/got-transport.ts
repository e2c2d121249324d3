import type { ClientRequest } from 'node:http'
import type { Socket } from 'node:net'
import { errorCode } from '@ipfleet/core/error-code.ts'
import type { Request } from 'got'
import type { Cancellation } from './cancellation.ts'
import { isOfProxy, proxyError, statusOfRefusedTunnel } from './proxy-failure.ts'
import {
  bodyTooLarge,
  failureWithCode,
  type IncomingAnswer,
  type OutgoingRequest,
  type Transport,
  TransportError,
} from './transport.ts'
import { UpstreamAgents, type UpstreamAgentsOptions } from './upstream-agents.ts'

export interface GotTransportOptions extends UpstreamAgentsOptions {
  /** Of one body, after inflation. */
  readonly maxBodyBytes: number
}

/**
 * Through got, which knows forward proxies. Its errors (16.1) hold the URL and the header fields: they go no further.
 * It is loaded when it is needed, because it takes more memory than the rest of this package, and most replicas send
 * nothing by it.
 */
export class GotTransport implements Transport {
  readonly #agents: UpstreamAgents
  readonly #maxBodyBytes: number
  readonly #isProxied: boolean

  constructor({ maxBodyBytes, ...agents }: GotTransportOptions) {
    this.#agents = new UpstreamAgents(agents)
    this.#maxBodyBytes = maxBodyBytes
    this.#isProxied = agents.proxyUrl !== undefined
    // The first request does not wait for what every request needs.
    if (this.#isProxied) void loadGot()
  }

  async send(request: OutgoingRequest, cancellation: Cancellation, isFresh: boolean): Promise<IncomingAnswer> {
    const { method, url, headers, body } = request
    const got = await loadGot()
    const abort = new AbortController()
    cancellation.onCancel(() => abort.abort())
    const stream = got.stream(url, {
      method,
      headers,
      ...(body ? { body } : {}),
      agent: isFresh ? this.#agents.fresh : this.#agents.pooled,
      signal: abort.signal,
      retry: { limit: 0 },
      followRedirect: false,
      throwHttpErrors: false,
    })
    const watch = new StaleConnectionWatch(stream)
    try {
      return await this.#read(stream)
    } catch (error) {
      stream.destroy()
      throw error instanceof TransportError ? error : failureOf(error, watch)
    } finally {
      if (isFresh) stream.destroy()
    }
  }

  close(): void {
    this.#agents.close()
  }

  async #read(stream: Request): Promise<IncomingAnswer> {
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > this.#maxBodyBytes) throw bodyTooLarge(this.#maxBodyBytes)
      chunks.push(chunk)
    }
    const { response } = stream
    if (!response) throw new TransportError('upstream_unreachable', 'closed without an answer')
    const { statusCode: status, headers } = response
    if (this.#isProxied && response.url.startsWith('http:') && isOfProxy(status, headers)) throw proxyError(status)
    return { status, headers, body: Buffer.concat(chunks) }
  }
}

async function loadGot() {
  return (await import('got')).default
}

function failureOf(error: unknown, watch: StaleConnectionWatch): TransportError {
  const proxyStatus = statusOfRefusedTunnel(error instanceof Error ? error.cause : undefined)
  if (proxyStatus !== undefined) return proxyError(proxyStatus)
  const code = codeOf(error)
  return failureWithCode(code, { isStale: watch.metStaleConnection(code) })
}

/** got 16 hides the code of an error of the body's stream (zlib's) behind one of its own. */
function codeOf(error: unknown): string {
  const code = errorCode(error) ?? 'unknown'
  const isOfStream = code === 'ERR_READING_RESPONSE_STREAM' && error instanceof Error
  return (isOfStream ? errorCode(error.cause) : undefined) ?? code
}

/** Codes of a connection that the other side has given up. */
const goneCodes: ReadonlySet<unknown> = new Set(['ECONNRESET', 'EPIPE'])

/** Watches whether a request is sent on a connection that lay idle and that upstream was closing at that moment. */
class StaleConnectionWatch {
  #request: ClientRequest | undefined
  #socket: Socket | undefined
  #bytesBefore = 0

  constructor(stream: Request) {
    stream.once('request', (request: ClientRequest) => {
      this.#request = request
      request.once('socket', (socket) => {
        this.#socket = socket
        this.#bytesBefore = socket.bytesRead
      })
    })
  }

  /** Whether `code` is how a request on a stale connection fails, and no byte of an answer has come. */
  metStaleConnection(code: string): boolean {
    const isReused = this.#request?.reusedSocket === true
    return isReused && goneCodes.has(code) && this.#socket?.bytesRead === this.#bytesBefore
  }
}
