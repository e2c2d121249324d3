import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { errorCode } from '@ipfleet/core/error-code.ts'

export interface DatabaseSource {
  /** https, or http to this machine. */
  readonly url: string
  /** A Bearer token, or `user:password` for Basic; only the host of `url` gets it. */
  readonly token?: string | undefined
  /** Text or JSON that holds the SHA-256 of what `url` answers. */
  readonly checksumUrl?: string | undefined
  /** Most bytes, as they come and unpacked. */
  readonly maxBytes: number
}

export interface DownloadOptions {
  readonly source: DatabaseSource
  /** Of what is here already. */
  readonly etag: string | undefined
  /** A new file that is written. */
  readonly path: string
  readonly signal: AbortSignal
}

export type Download =
  | { readonly kind: 'unchanged' }
  /** `etag`: undefined where the source has none. */
  | { readonly kind: 'downloaded'; readonly etag: string | undefined; readonly sha256: string }

/** Nothing usable came. The message holds no path, query or token. */
export class DownloadFailed extends Error {}

const maxRedirects = 3
const maxChecksumBytes = 65_536
/** A source that sends nothing for so long is gone. */
const idleMs = 30_000
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** Asks for the file if it is another than the one with `etag`, and checks what comes. @throws DownloadFailed */
export async function downloadDatabase({ source, etag, path, signal }: DownloadOptions): Promise<Download> {
  const idle = idleSignal()
  try {
    const request = { token: source.token, signal: AbortSignal.any([signal, idle.signal]) }
    const response = await requested(source.url, { ...request, etag })
    if (response.status === 304) return { kind: 'unchanged' }
    const sha256 = await written(response, { path, maxBytes: source.maxBytes, onChunk: idle.heard })
    requireDigest(response, sha256)
    if (source.checksumUrl !== undefined) await requireChecksum(source, sha256, request)
    return { kind: 'downloaded', etag: response.headers.get('etag') ?? undefined, sha256 }
  } catch (error) {
    throw error instanceof DownloadFailed ? error : new DownloadFailed(reasonOf(error), { cause: error })
  } finally {
    idle.stop()
  }
}

interface RequestOptions {
  readonly token: string | undefined
  readonly etag?: string | undefined
  readonly signal: AbortSignal
}

/** The answer of 200 or 304 at the end of at most three redirects. */
async function requested(first: string, { token, etag, signal }: RequestOptions): Promise<Response> {
  let url = new URL(first)
  for (let left = maxRedirects; ; left -= 1) {
    const headers = {
      accept: '*/*',
      // What is measured and checked is the file itself.
      'accept-encoding': 'identity',
      'user-agent': 'ipfleet',
      ...(token !== undefined && url.origin === new URL(first).origin && { authorization: credentials(token) }),
      ...(etag !== undefined && { 'if-none-match': etag }),
    }
    // oxlint-disable-next-line no-await-in-loop -- a redirect follows an answer
    const response = await fetch(url, { headers, redirect: 'manual', signal })
    if (response.status === 200 || (response.status === 304 && etag !== undefined)) return response
    // oxlint-disable-next-line no-await-in-loop -- it is not read
    await response.body?.cancel()
    if (!redirects.has(response.status)) throw new DownloadFailed(`${url.host} answers ${response.status}`)
    if (left === 0) throw new DownloadFailed(`${url.host} redirects after ${maxRedirects} redirects`)
    url = target(response, url)
  }
}

function target(response: Response, from: URL): URL {
  const location = response.headers.get('location') ?? ''
  if (!URL.canParse(location, from)) throw new DownloadFailed(`${from.host} redirects to what is no URL`)
  const to = new URL(location, from)
  if (to.protocol === 'https:' || (from.protocol === 'http:' && isHttpToHere(to))) return to
  throw new DownloadFailed(`${from.host} redirects to ${to.protocol}//${to.host}, which is not https`)
}

/** Plain text to this machine can be read by no other machine. */
export function isHttpToHere({ protocol, hostname }: URL): boolean {
  return protocol === 'http:' && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)
}

function credentials(token: string): string {
  return token.includes(':') ? `Basic ${Buffer.from(token).toString('base64')}` : `Bearer ${token}`
}

interface Destination {
  readonly path: string
  readonly maxBytes: number
  readonly onChunk: () => void
}

/** @returns the SHA-256 of what was written, in hex */
async function written({ body, headers }: Response, { path, maxBytes, onChunk }: Destination): Promise<string> {
  const tooLarge = new DownloadFailed(`the file has more than ${maxBytes} bytes (OFFLINE_DB_MAX_BYTES)`)
  if (Number(headers.get('content-length') ?? 0) > maxBytes) {
    await body?.cancel()
    throw tooLarge
  }
  const hash = createHash('sha256')
  let bytes = 0
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      onChunk()
      bytes += chunk.length
      hash.update(chunk)
      if (bytes > maxBytes) callback(tooLarge)
      else callback(null, chunk)
    },
  })
  await pipeline(Readable.fromWeb(body ?? new ReadableStream()), counted, createWriteStream(path, { flags: 'wx' }))
  return hash.digest('hex')
}

/** RFC 9530, for servers that tell. */
function requireDigest({ headers }: Response, sha256: string): void {
  const told = headers.get('repr-digest') ?? headers.get('content-digest') ?? ''
  const expected = /(?:^|[\s,])sha-256=:([^:]+):/.exec(told)?.[1]
  if (expected === undefined || Buffer.from(expected, 'base64').toString('hex') === sha256) return
  throw new DownloadFailed('the file differs from the digest that came with it')
}

async function requireChecksum(source: DatabaseSource, sha256: string, request: RequestOptions): Promise<void> {
  const text = await shortText(await requested(source.checksumUrl ?? '', { ...request, token: tokenFor(source) }))
  const told = checksumIn(text, new URL(source.url))
  if (told === undefined) throw new DownloadFailed('OFFLINE_DB_CHECKSUM_URL answers without a SHA-256 of the file')
  if (told !== sha256) throw new DownloadFailed('the file differs from its checksum')
}

const tokenFor = ({ url, checksumUrl = '', token }: DatabaseSource): string | undefined =>
  new URL(url).origin === new URL(checksumUrl).origin ? token : undefined

async function shortText({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body ?? []) {
    bytes += chunk.length
    if (bytes > maxChecksumBytes) throw new DownloadFailed('OFFLINE_DB_CHECKSUM_URL answers too much')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** As `sha256sum` writes it, or JSON; of several that of the file by its name. */
function checksumIn(text: string, { pathname }: URL): string | undefined {
  const name = decodeURIComponent(pathname.slice(pathname.lastIndexOf('/') + 1))
  const lines = text.split('\n').flatMap((line) => {
    const sum = /(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/i.exec(line)?.[0]
    return sum === undefined ? [] : [{ sum: sum.toLowerCase(), isNamed: line.split(/[\s*/]+/).includes(name) }]
  })
  return lines.length === 1 ? lines[0]?.sum : lines.find(({ isNamed }) => isNamed)?.sum
}

/** Aborts when nothing has been heard for a while. */
function idleSignal() {
  const controller = new AbortController()
  const timer = setTimeout(
    () => controller.abort(new DownloadFailed(`nothing came for ${idleMs / 1000} s`)),
    idleMs,
  ).unref()
  return { signal: controller.signal, heard: () => void timer.refresh(), stop: () => clearTimeout(timer) }
}

/** Errors of fetch tell in their cause what happened, with the URL in some messages. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  const code = errorCode(cause) ?? errorCode(error)
  return code === undefined ? 'the connection ended before the file was whole' : `the download failed (${code})`
}
