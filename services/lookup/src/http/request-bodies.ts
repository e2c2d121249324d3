import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable, Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { Counts } from '@ipfleet/core/counts.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import { lingerAfter } from '@ipfleet/http-server/linger.ts'

export interface RequestBodiesOptions {
  /** Of all bodies at a time, inflated. One client has a quarter of it, and room for one body of `maxBytes` in Brotli. */
  readonly maxInAllBytes: number
  /** Of the largest body that is read. */
  readonly maxBytes: number
  /** A client that sends nothing for so long is given up. */
  readonly idleTimeoutMs: number
}

export interface BodyTerms {
  /** After inflation. */
  readonly maxBytes: number
  /** Canonical; '' where it is not known. */
  readonly client: string
}

const clientShare = 1 / 4
/** Of what reads a body before any of it is there: zlib's window and buffers, or little more than an object. */
const codedBytes = 65_536
const plainBytes = 2048
/** The window that Brotli's encoders choose unless told otherwise; it takes as much memory from the start. */
const brotliBytes = 4 * 1024 * 1024

/**
 * The bodies of requests that are under way. Their bytes, inflated, are bounded for each body, for each client and for
 * all, so that clients that never finish cannot take a replica's memory; and they are counted until the request is
 * answered, since they are held until then.
 */
export class RequestBodies {
  readonly #options: RequestBodiesOptions
  readonly #maxPerClientBytes: number
  readonly #byClient = new Counts()
  #inAll = 0

  constructor(options: RequestBodiesOptions) {
    this.#options = options
    this.#maxPerClientBytes = Math.max(options.maxInAllBytes * clientShare, options.maxBytes + brotliBytes)
  }

  /**
   * Reads a body to its end, without its Content-Encoding.
   * @throws ProxyError `payload_too_large`, `client_share` and `overloaded` for the three limits; `bad_request` for a
   *   coding that does not hold what it says, `unsupported_media_type` for an unknown one; `request_timeout`,
   *   `client_left`
   */
  async read(req: IncomingMessage, res: ServerResponse, { maxBytes, client }: BodyTerms): Promise<Buffer> {
    const held = this.#hold(client)
    res.once('close', held.release)
    let decoder: Transform | undefined
    try {
      decoder = decoderOf(req.headers['content-encoding'])
      if (decoder === undefined && Number(req.headers['content-length']) > maxBytes) throw tooLarge(maxBytes)
      held.take(decoder === undefined ? plainBytes : isBrotli(req) ? brotliBytes : codedBytes)
      return await this.#collect(req, decoder, (size, sum) => {
        if (sum > maxBytes) throw tooLarge(maxBytes)
        held.take(size)
      })
    } catch (error) {
      // What else the client sends is not read before it has been refused.
      req.unpipe()
      req.pause()
      decoder?.destroy()
      lingerAfter(res)
      held.release()
      throw error
    }
  }

  #collect(req: IncomingMessage, decoder: Transform | undefined, take: (size: number, sum: number) => void) {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    const chunks: Buffer[] = []
    let sum = 0
    const idle = setTimeout(() => reject(new ProxyError('request_timeout')), this.#options.idleTimeoutMs)
    const onArrival = (): unknown => idle.refresh()
    const onLeft = (): void => {
      if (!req.complete) reject(new ProxyError('client_left'))
    }
    if (isBrotli(req)) req.once('data', ([first = 0]: Buffer) => hasWideWindow(first) && reject(tooWide()))
    req.on('data', onArrival).once('close', onLeft).once('error', onLeft)
    const source: Readable = decoder === undefined ? req : req.pipe(decoder)
    const onData = (chunk: Buffer): void => {
      try {
        sum += chunk.length
        take(chunk.length, sum)
        chunks.push(chunk)
      } catch (error) {
        reject(error)
      }
    }
    source.on('data', onData).once('end', () => resolve(Buffer.concat(chunks)))
    decoder?.once('error', (cause) => {
      reject(new ProxyError('bad_request', { message: 'The body is not what its Content-Encoding says', cause }))
    })
    return promise.finally(() => {
      clearTimeout(idle)
      source.off('data', onData)
      req.off('data', onArrival).off('close', onLeft)
    })
  }

  #hold(client: string): { readonly take: (size: number) => void; readonly release: () => void } {
    const subject = addressSubject(client)
    let own = 0
    const count = (change: number): void => {
      own += change
      this.#inAll += change
      this.#byClient.add(subject, change)
    }
    return {
      take: (size) => {
        if (this.#byClient.of(subject) + size > this.#maxPerClientBytes) throw overShare(this.#maxPerClientBytes)
        if (this.#inAll + size > this.#options.maxInAllBytes) throw overAll()
        count(size)
      },
      release: () => count(-own),
    }
  }
}

function isBrotli({ headers }: IncomingMessage): boolean {
  return headers['content-encoding']?.trim().toLowerCase() === 'br'
}

/** Whether a Brotli stream that begins with this byte has a window of 8 or 16 MiB (RFC 7932 §9.1). */
function hasWideWindow(first: number): boolean {
  return (first & 1) === 1 && ((first >> 1) & 7) >= 6
}

function tooWide(): ProxyError {
  const message =
    'A Brotli body is read with a window of up to 4 MiB (lgwin 22); send it in another coding, or as it is'
  return new ProxyError('unsupported_media_type', { message })
}

/** Undefined for a body as it is. @throws ProxyError `unsupported_media_type` */
function decoderOf(coding = 'identity'): Transform | undefined {
  switch (coding.trim().toLowerCase()) {
    case '':
    case 'identity':
      return undefined
    case 'gzip':
    case 'x-gzip':
      return createGunzip()
    case 'deflate':
      return createInflate()
    case 'br':
      return createBrotliDecompress()
    default:
      throw new ProxyError('unsupported_media_type', { message: 'A body is read in gzip, deflate or br, or as it is' })
  }
}

function tooLarge(maxBytes: number): ProxyError {
  return new ProxyError('payload_too_large', { message: `The body is over the limit of ${maxBytes} bytes` })
}

function overShare(maxBytes: number): ProxyError {
  return new ProxyError('client_share', {
    message: `The bodies that your address has under way are over its share of ${maxBytes} bytes; finish some first`,
    retryAfterSeconds: 1,
  })
}

function overAll(): ProxyError {
  return new ProxyError('overloaded', {
    message: 'The bodies of all requests under way take all the room there is for them (BODIES_MAX_BYTES)',
    retryAfterSeconds: 1,
  })
}
