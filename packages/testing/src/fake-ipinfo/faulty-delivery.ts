import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { gzipSync } from 'node:zlib'
import { contentTypes } from './answer.ts'
import type { DeliveryFault } from './faults.ts'

/** The answer that a fault spoils. */
export interface Delivery {
  readonly status: number
  readonly headers: Readonly<Record<string, string | number>>
  readonly body: Buffer
  /** Resolves after that many ms, or never when the fake closes first. */
  readonly delay: (ms: number) => Promise<void>
}

/** The bomb's members are copies of one block: gzip files may be concatenated (RFC 1952, 2.2). */
const blockBytes = 1 << 20
const jsonTail = Buffer.from('"}')
const jsonHead = headOf({ ip: '8.8.8.8' })

/** Sends an answer as badly as `fault` says. Resolves when all is sent that will be, or the client is gone. */
export async function deliverBadly(fault: DeliveryFault, res: ServerResponse, delivery: Delivery): Promise<void> {
  // A client that leaves in the middle is expected here.
  res.on('error', () => {})
  const { status, headers, body } = delivery
  switch (fault.kind) {
    case 'hang':
      return
    case 'reset':
      res.socket?.resetAndDestroy()
      return
    case 'hang-after-headers':
      res.writeHead(status, headers).flushHeaders()
      return
    case 'status':
      sendStatus(fault, res)
      return
    case 'redirect':
      res.writeHead(302, { location: fault.location ?? '/elsewhere', 'content-length': 0 }).end()
      return
    case 'garbage':
      res.writeHead(200, { 'content-type': contentTypes.json }).end('{"ip": "8.8.8.8", "city": \u0000<<')
      return
    case 'html':
      res.writeHead(200, { 'content-type': contentTypes.html }).end('<!doctype html><title>IPinfo</title><p>Hello')
      return
    case 'wall':
      res.writeHead(fault.status ?? 403, { 'content-type': contentTypes.html }).end(wallPage)
      return
    case 'fields':
      res.writeHead(status, { ...headers, ...fault.headers }).end(body)
      return
    case 'truncated':
      res.writeHead(status, { ...headers, 'content-length': body.length + 100 })
      await written(res, body)
      res.socket?.end()
      return
    case 'reset-mid-body':
      res.writeHead(status, { ...headers, 'content-length': body.length })
      await written(res, body.subarray(0, body.length >> 1))
      res.socket?.resetAndDestroy()
      return
    case 'drip':
      res.writeHead(status, headers)
      await drip(res, delivery, fault.everyMs)
      return
    default:
      await sendMuch(fault, res)
  }
}

const wallPage = `<!DOCTYPE html>
<html><head><title>Attention Required!</title></head><body><h1>Please enable cookies.</h1></body></html>
`

function sendStatus(fault: Extract<DeliveryFault, { kind: 'status' }>, res: ServerResponse): void {
  const { body = '' } = fault
  const text = typeof body === 'string' ? body : JSON.stringify(body, null, 2)
  res.writeHead(fault.status, {
    'content-type': contentTypes.json,
    'content-length': Buffer.byteLength(text),
    ...fault.headers,
  })
  res.end(text)
}

async function drip(res: ServerResponse, { body, delay }: Delivery, everyMs: number): Promise<void> {
  // One after the other is the point.
  for (let at = 0; at < body.length && !res.destroyed; at += 1) {
    res.write(body.subarray(at, at + 1))
    await delay(everyMs)
  }
  res.end()
}

async function sendMuch(
  fault: Extract<DeliveryFault, { kind: 'huge' | 'endless' | 'gzip-bomb' }>,
  res: ServerResponse,
): Promise<void> {
  if (fault.kind === 'endless') {
    res.writeHead(200, { 'content-type': contentTypes.json })
    await stream(res, padded(Number.POSITIVE_INFINITY))
  } else if (fault.kind === 'huge') {
    const head = fault.record === undefined ? jsonHead : headOf(fault.record)
    const bytes = Math.max(fault.bytes, head.length + jsonTail.length)
    res.writeHead(200, { 'content-type': contentTypes.json, 'content-length': bytes })
    await stream(res, padded(bytes, head))
  } else {
    res.writeHead(200, { 'content-type': contentTypes.json, 'content-encoding': 'gzip' })
    await stream(res, bomb(fault.bytes ?? 200 * blockBytes))
  }
}

/** What comes before the padding. */
function headOf(record: object): Buffer {
  return Buffer.from(JSON.stringify({ ...record, padding: '' }).slice(0, -jsonTail.length))
}

/** JSON of exactly `bytes`, in blocks. */
function* padded(bytes: number, head = jsonHead): Generator<Buffer> {
  const block = Buffer.alloc(64 * 1024, 'x')
  yield head
  let left = bytes - head.length - jsonTail.length
  for (; left > block.length; left -= block.length) yield block
  yield block.subarray(0, left)
  yield jsonTail
}

/** Gzip members that inflate to JSON of about `bytes`, rounded up to whole blocks. */
function* bomb(bytes: number): Generator<Buffer> {
  const member = gzipSync(Buffer.alloc(blockBytes, 'x'))
  yield gzipSync(jsonHead)
  for (let inflated = 0; inflated < bytes; inflated += blockBytes) yield member
  yield gzipSync(jsonTail)
}

async function stream(res: ServerResponse, blocks: Iterable<Buffer>): Promise<void> {
  try {
    await pipeline(Readable.from(blocks, { objectMode: false }), res)
  } catch {
    // The client has had enough, which is what these faults are for.
  }
}

/** Resolves when the operating system has the bytes. */
function written(res: ServerResponse, chunk: Buffer): Promise<void> {
  return new Promise((resolve) => {
    res.write(chunk, () => resolve())
  })
}
