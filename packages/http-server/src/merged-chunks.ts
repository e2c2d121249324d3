import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest, Http2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { http } from '@ipfleet/core/node-http.ts'
import { readTurns } from './read-turns.ts'

/** Larger chunks are passed on as they are. */
const smallBytes = 1024
const blockBytes = 16_384
/** From so many chunks in one read on, the connection waits for its turn before it is read on. */
const manyChunks = 256

/** What has come in one read and is not handed over yet. */
interface Pending {
  block: Buffer
  length: number
  chunks: number
}

/**
 * A request whose small chunks are merged, read by read. Node 26 makes a Buffer of each chunk of a body, which takes some
 * 200 bytes and several microseconds until it is handled. A read of 64 KiB can bring 10,000 chunks of one byte, so that
 * a client that sends them on many connections would take all memory and time. Connections that bring many chunks in one
 * read are read on in turns.
 *
 * `push` is a property of each request, because Express replaces the prototype.
 */
export class MergedChunksRequest extends http.IncomingMessage {
  constructor(socket: Socket) {
    super(socket)
    mergeChunks(this)
  }
}

type Merged = IncomingMessage | Http2ServerRequest

const pendingOf = new WeakMap<Merged, Pending>()

export function mergeChunks(req: Merged): void {
  req.push = pushMerged
}

function pushMerged(this: Merged, chunk: unknown, encoding?: BufferEncoding): boolean {
  const pending = pendingOf.get(this)
  if (!Buffer.isBuffer(chunk) || chunk.length === 0 || chunk.length >= smallBytes) {
    if (pending) flush(this, pending)
    return Readable.prototype.push.call(this, chunk, encoding)
  }
  if (pending) append(this, pending, chunk)
  else if (isChunked(this)) begin(this, chunk)
  else return Readable.prototype.push.call(this, chunk, encoding)
  return true
}

/** Of other bodies each read is one piece. */
function isChunked(req: Merged): boolean {
  return !(req instanceof http.IncomingMessage) || req.headers['transfer-encoding'] !== undefined
}

function begin(req: Merged, chunk: Buffer): void {
  const pending = { block: chunk, length: chunk.length, chunks: 1 }
  pendingOf.set(req, pending)
  if (!(req instanceof http.IncomingMessage)) countFrame(req)
  // Node runs what is to come next after each chunk, so that only the next turn of the event loop is behind them all.
  setImmediate(flush, req, pending)
}

function append(req: Merged, pending: Pending, chunk: Buffer): void {
  if (pending.length + chunk.length > blockBytes) hand(req, pending)
  if (pending.block.length < blockBytes) {
    const block = Buffer.allocUnsafe(blockBytes)
    pending.block.copy(block, 0, 0, pending.length)
    pending.block = block
  }
  chunk.copy(pending.block, pending.length)
  pending.length += chunk.length
  pending.chunks += 1
  if (!(req instanceof http.IncomingMessage)) countFrame(req)
  // At once, since libuv would read on.
  else if (pending.chunks === manyChunks) readTurns.hold(req)
}

/** Of small frames that have come in this turn of the event loop, on all streams of a session. */
const framesOf = new WeakMap<Http2Session, number>()

function countFrame({ stream: { session } }: Http2ServerRequest): void {
  if (session === undefined) return
  const frames = (framesOf.get(session) ?? 0) + 1
  framesOf.set(session, frames)
  if (frames === 1) setImmediate(() => framesOf.delete(session))
  if (frames === manyChunks) readTurns.holdSession(session)
}

function flush(req: Merged, pending: Pending): void {
  if (pendingOf.get(req) !== pending) return
  pendingOf.delete(req)
  hand(req, pending)
}

function hand(req: Merged, pending: Pending): void {
  const { block, length } = pending
  pending.block = Buffer.alloc(0)
  pending.length = 0
  if (length === 0 || req.destroyed) return
  // As Node does when a request takes no more: its `_read` resumes the socket or the stream.
  if (Readable.prototype.push.call(req, block.subarray(0, length))) return
  if (req instanceof http.IncomingMessage) req.socket.pause()
  else req.stream.pause()
}
