import { retryAfterMs } from '@ipfleet/http-server/retry-after.ts'
import type { Agent as HttpAgent, ClientRequest, IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { pipeline, type Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { http } from '@ipfleet/core/node-http.ts'
import { isRecord, parseJson } from '@ipfleet/core/json.ts'
import { type Attempt, FleetFault, isPassing } from './retry-policy.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'

export interface FleetRequest {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  /** Below the fleet's URL: `jobs?limit=1`. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Readable
  /** A connection that is silent for so long counts as lost. Default a minute. */
  readonly idleMs?: number
  readonly signal: AbortSignal
}

interface ReplyHead {
  readonly status: number
  readonly header: (name: string) => string | undefined
}

export interface FleetReply extends ReplyHead {
  /** The body as it comes, unpacked. Reading throws FleetAway; the signal's reason when it aborts. */
  readonly pieces: () => AsyncGenerator<Buffer>
}

export interface FleetText extends ReplyHead {
  readonly text: string
}

export class FleetAway extends Error {
  override readonly name = 'FleetAway'
  /** Nothing has come for `idleMs`. */
  readonly isSilence: boolean
  readonly code: string | undefined

  constructor(url: string, cause: unknown) {
    const isSilence = cause instanceof Silence
    const code = isSilence ? 'silence' : codeOf(cause)
    super(`no answer from ${url}${code === undefined ? '' : ` (${code})`}`, { cause })
    this.isSilence = isSilence
    this.code = code
  }
}

class Silence extends Error {}

/** An error of the body's source, and not of the fleet. */
class SourceFault extends Error {}

const defaultIdleMs = 60_000
const maxTextBytes = 64 * 1024 * 1024

/** Speaks HTTP with one fleet, over connections that are kept, with the client's token. */
export class FleetClient {
  readonly url: string
  readonly #token: string | undefined
  readonly #agent: HttpAgent
  readonly #request: typeof http.request

  constructor(url: string, token: string | undefined) {
    const isSecure = url.startsWith('https:')
    this.url = url
    this.#token = token
    this.#request = isSecure ? httpsRequest : http.request
    this.#agent = isSecure ? new HttpsAgent({ keepAlive: true }) : new http.Agent({ keepAlive: true })
  }

  /** On this machine, compressing costs more than sending. */
  get isNear(): boolean {
    return /^(localhost|127\.[\d.]+|\[::1\])$/.test(new URL(this.url).hostname)
  }

  /** @throws FleetAway; what the body's source throws; the signal's reason when it aborts */
  async ask(request: FleetRequest): Promise<FleetReply> {
    const { body, signal } = request
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const req = this.#send(request)
    const broken = (error: unknown): unknown => {
      if (signal.aborted) return signal.reason
      return error instanceof SourceFault ? error.cause : new FleetAway(this.url, error)
    }
    let silence: Silence | undefined
    req.on('timeout', () => {
      silence = new Silence()
      req.destroy(silence)
    })
    req.on('error', reject)
    req.on('response', resolve)
    if (body === undefined || typeof body === 'string') req.end(body)
    else sendStream(req, body)
    try {
      const res = await promise
      // A request that ends while its answer is read looks like a lost connection there.
      return replyOf(res, (error) => broken(silence ?? error))
    } catch (error) {
      throw broken(error)
    }
  }

  async askText(request: FleetRequest): Promise<FleetText> {
    const { status, header, pieces } = await this.ask(request)
    return { status, header, text: await textOf(pieces()) }
  }

  close(): void {
    this.#agent.destroy()
  }

  #send({ method = 'GET', path, headers = {}, idleMs = defaultIdleMs, signal }: FleetRequest): ClientRequest {
    return this.#request(`${this.url}/${path}`, {
      agent: this.#agent,
      method,
      timeout: idleMs,
      signal,
      headers: {
        accept: '*/*',
        ...(this.#token !== undefined && { authorization: `Bearer ${this.#token}` }),
        ...(!this.isNear && { 'accept-encoding': 'gzip' }),
        ...headers,
      },
    })
  }
}

/** @throws FleetFault for an endless text */
export async function textOf(pieces: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const piece of pieces) {
    bytes += piece.length
    if (bytes > maxTextBytes) throw new FleetFault('the fleet’s answer is too long')
    chunks.push(piece)
  }
  return Buffer.concat(chunks).toString()
}

function sendStream(req: ClientRequest, body: Readable): void {
  body.once('error', (cause) => req.destroy(new SourceFault('the list cannot be read', { cause })))
  // However it ends, the list is neither read further nor left open.
  req.once('close', () => body.destroy())
  // An answer before the end of the list is a refusal.
  req.once('response', (res: IncomingMessage) => {
    if (req.writableEnded) return
    body.unpipe(req)
    res.once('close', () => req.destroy())
  })
  body.pipe(req)
}

function replyOf(res: IncomingMessage, broken: (error: unknown) => unknown): FleetReply {
  const isPacked = res.headers['content-encoding'] === 'gzip'
  return {
    status: res.statusCode ?? 0,
    header: (name) => {
      const value = res.headers[name]
      return typeof value === 'string' ? value : undefined
    },
    pieces: async function* () {
      // The unzipped stream, which is read, gets the error too.
      const body: Readable = isPacked ? pipeline(res, createGunzip(), () => undefined) : res
      try {
        yield* body as AsyncIterable<Buffer>
      } catch (error) {
        throw broken(error)
      }
    },
  }
}

/** One attempt of a request, for `RetryPolicy`: after an outage or a passing status, another one follows. */
export async function attempted<T>(ask: () => Promise<FleetText>, read: (reply: FleetText) => T): Promise<Attempt<T>> {
  try {
    const reply = await ask()
    const askedForMs = retryAfterMs(reply.header('retry-after'), Date.now())
    // 409 comes with it while the same upload is still coming in on a connection that was given up here.
    if (!isPassing(reply.status) && (reply.status !== 409 || askedForMs === undefined)) {
      return { kind: 'done', value: read(reply) }
    }
    return { kind: 'again', why: refusalOf(reply), retryAfterMs: askedForMs }
  } catch (error) {
    if (error instanceof FleetAway) return { kind: 'again', why: error.message }
    throw error
  }
}

/** A refusal in words: `the fleet answers 429: You've hit the limit…`. */
export function refusalOf({ status, text }: Pick<FleetText, 'status' | 'text'>): string {
  const body = parseJson(text)
  const error = isRecord(body) && isRecord(body['error']) ? body['error'] : undefined
  const reason = error && (error['message'] ?? error['title'])
  return `the fleet answers ${status}${typeof reason === 'string' ? `: ${reason}` : ''}`
}

/** Node tries all addresses of a name, and has an error for each. */
function codeOf(error: unknown): string | undefined {
  if (error instanceof AggregateError) return codeOf(error.errors[0])
  return errorCode(error)
}

/** @throws FleetFault for a refusal that no repetition helps */
export function requireGood(reply: FleetText): FleetText {
  if (reply.status >= 200 && reply.status < 300) return reply
  const hint = reply.status === 401 || reply.status === 403 ? ' (a client’s token goes into IPFLEET_TOKEN)' : ''
  throw new FleetFault(`${refusalOf(reply)}${hint}`)
}
