import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { type Clock, monotonicClock } from '@ipfleet/clock/clock.ts'
import got, { type Request } from 'got'
import { classify, type Expected } from './classify.ts'
import type { Reply } from './reply.ts'

export interface UpstreamRequest {
  readonly method: 'GET' | 'POST'
  /** Path and query on the upstream host, beginning with a slash. */
  readonly path: string
  readonly body?: Buffer
  readonly expected: Expected
}

export interface UpstreamClientOptions {
  /** Scheme, host and optional path prefix. */
  readonly baseUrl: string
  readonly userAgent: string
  /** Of one body, after inflation. */
  readonly maxBodyBytes: number
  readonly maxSockets: number
  readonly clock?: Clock
}

/**
 * The only way to upstream. A request carries the key and nothing of the client's. One deadline covers everything
 * from connecting to the last byte, bodies are cut off at a size, redirects are not followed, and errors are told
 * by code only: got 16 puts the URL and the headers, the key among them, into its own.
 */
export class UpstreamClient {
  readonly #baseUrl: string
  readonly #headers: Record<string, string>
  readonly #maxBodyBytes: number
  readonly #clock: Clock
  readonly #agent: { http: HttpAgent; https: HttpsAgent }

  constructor({ baseUrl, userAgent, maxBodyBytes, maxSockets, clock = monotonicClock }: UpstreamClientOptions) {
    this.#baseUrl = baseUrl.replace(/\/+$/, '')
    this.#headers = { 'user-agent': userAgent, accept: 'application/json' }
    this.#maxBodyBytes = maxBodyBytes
    this.#clock = clock
    const options = { keepAlive: true, maxSockets, maxFreeSockets: maxSockets, scheduling: 'lifo' as const }
    this.#agent = { http: new HttpAgent(options), https: new HttpsAgent(options) }
  }

  /** Asks once, with one key. Never throws. @param deadlineMs monotonic */
  async ask(request: UpstreamRequest, key: string, deadlineMs: number): Promise<Reply> {
    const leftMs = Math.ceil(deadlineMs - this.#clock.nowMs())
    if (leftMs <= 0) return { kind: 'failed', code: 'upstream_timeout', detail: 'no time left to ask' }
    const signal = AbortSignal.timeout(leftMs)
    const stream = this.#send(request, key, signal)
    try {
      return await this.#read(stream, request.expected)
    } catch (error) {
      stream.destroy()
      if (signal.aborted) return { kind: 'failed', code: 'upstream_timeout', detail: `nothing within ${leftMs} ms` }
      return failureOf(error)
    }
  }

  close(): void {
    this.#agent.http.destroy()
    this.#agent.https.destroy()
  }

  #send({ method, path, body }: UpstreamRequest, key: string, signal: AbortSignal): Request {
    const headers = { ...this.#headers, authorization: `Bearer ${key}` }
    return got.stream(`${this.#baseUrl}${path}`, {
      method,
      headers: body ? { ...headers, 'content-type': 'application/json' } : headers,
      ...(body ? { body } : {}),
      agent: this.#agent,
      signal,
      retry: { limit: 0 },
      followRedirect: false,
      throwHttpErrors: false,
    })
  }

  async #read(stream: Request, expected: Expected): Promise<Reply> {
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > this.#maxBodyBytes) {
        stream.destroy()
        return { kind: 'failed', code: 'upstream_invalid', detail: `body over ${this.#maxBodyBytes} bytes` }
      }
      chunks.push(chunk)
    }
    const { response } = stream
    if (!response) return { kind: 'failed', code: 'upstream_unreachable', detail: 'closed without an answer' }
    const contentType = response.headers['content-type'] ?? ''
    const answer = { status: response.statusCode, contentType, body: Buffer.concat(chunks) }
    return classify(answer, response.headers, expected)
  }
}

/** Which failure an error of got or of the socket is, by code; its message is not used (it may hold anything). */
function failureOf(error: unknown): Reply {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
  const undecodable = code.startsWith('Z_') || code.startsWith('ERR_BODY') || code.startsWith('HPE_')
  return {
    kind: 'failed',
    code: undecodable ? 'upstream_invalid' : 'upstream_unreachable',
    detail: code,
  }
}
