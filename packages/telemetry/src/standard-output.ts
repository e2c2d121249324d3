import { write, writeSync } from 'node:fs'
import { errorCode } from '@ipfleet/core/error-code.ts'

/** Where finished text goes: the standard output, or what a test reads. */
export interface LogDestination {
  write(text: string): unknown
  /** Has a line written where some were left out, made by `lineOf` from their number. */
  tellDropped?(lineOf: (count: number) => string): void
  flush?(done?: (error?: Error) => void): void
  flushSync?(): void
}

const FD = 1
/** Of a write that begins without waiting for the timer: some three hundred access lines. */
const CHUNK_BYTES = 65_536
const FLUSH_EVERY_MS = 100
/** A reader that stopped reading, or a full disk, costs lines, which are counted, not memory. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024
/** At the end of the process, how long a reader may take that reads slowly. */
const LAST_WRITE_MS = 1000
const RETRY_AFTER_MS = 10
/** UTF-8 of a UTF-16 code unit takes at most so many. */
const MAX_UNIT_BYTES = 3

/**
 * The standard output, collected: one write for 64 KiB, or for what 100 ms bring. It writes off the event loop, so a slow
 * reader never holds a request. What cannot be written (a full disk, a closed terminal, a pipe whose reader has gone) is
 * kept and tried again with the next flush. It empties itself when the process ends.
 *
 * Text becomes bytes as it comes: as strings, what waits would be copied by every collection of the young generation.
 *
 * pino's own destination is not used: flushSync of sonic-boom 4.2.1 tries again for ever, whatever the error, and blocks
 * the process; and errors other than EPIPE are thrown.
 */
class StandardOutput implements LogDestination {
  /** In order. The first is being written, or could not be. */
  #chunks: Buffer[] = []
  #chunksBytes = 0
  /** Of the bytes from `#begin` to `#end` no chunk has been made yet. */
  #filling = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  #begin = 0
  #end = 0
  #isWriting = false
  #flushed: ((error?: Error) => void)[] = []
  #dropped = 0
  #droppedLine: ((count: number) => string) | undefined

  constructor() {
    setInterval(() => this.#writeNext(), FLUSH_EVERY_MS).unref()
    process.on('exit', () => this.flushSync())
  }

  write(text: string): void {
    if (!this.#add(text)) this.#dropped += 1
  }

  tellDropped(lineOf: (count: number) => string): void {
    this.#droppedLine = lineOf
  }

  /** Calls `done` when all is written, or with the error that prevents it. */
  flush(done?: (error?: Error) => void): void {
    if (done) this.#flushed.push(done)
    this.#writeNext()
  }

  /** Gives up at the first error, except that of a reader that is only slow. */
  flushSync(): void {
    this.#endChunk()
    // A chunk that is being written cannot be taken back, and would be there twice.
    let rest = Buffer.concat(this.#chunks.splice(this.#isWriting ? 1 : 0))
    this.#chunksBytes -= rest.length
    const patience = new Int32Array(new SharedArrayBuffer(4))
    for (let waitedMs = 0; rest.length > 0 && waitedMs < LAST_WRITE_MS;) {
      try {
        rest = rest.subarray(writeSync(FD, rest))
      } catch (error) {
        if (errorCode(error) !== 'EAGAIN') return
        Atomics.wait(patience, 0, 0, RETRY_AFTER_MS)
        waitedMs += RETRY_AFTER_MS
      }
    }
  }

  /** @returns false: too much waits */
  #add(text: string): boolean {
    const maxBytes = text.length * MAX_UNIT_BYTES
    if (this.#end + maxBytes > this.#filling.length && !this.#makeRoom(maxBytes)) return false
    this.#end += this.#filling.write(text, this.#end)
    return true
  }

  #makeRoom(bytes: number): boolean {
    if (this.#chunksBytes + this.#end - this.#begin + bytes > MAX_WAITING_BYTES) return false
    this.#endChunk()
    this.#filling = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, bytes))
    this.#begin = 0
    this.#end = 0
    this.#writeNext()
    return true
  }

  #endChunk(): void {
    if (this.#begin === this.#end) return
    this.#chunks.push(this.#filling.subarray(this.#begin, this.#end))
    this.#chunksBytes += this.#end - this.#begin
    this.#begin = this.#end
  }

  #writeNext(): void {
    if (this.#isWriting) return
    if (this.#chunks.length === 0) this.#endChunk()
    const [chunk] = this.#chunks
    if (chunk === undefined) return this.#tellFlushed()
    this.#isWriting = true
    write(FD, chunk, (error, count) => {
      this.#isWriting = false
      if (error) {
        if (errorCode(error) !== 'EAGAIN') this.#tellFlushed(error)
        return
      }
      this.#written(chunk, count)
      if (this.#chunks.length > 0 || this.#flushed.length > 0) this.#writeNext()
    })
  }

  #written(chunk: Buffer, bytes: number): void {
    this.#chunksBytes -= bytes
    if (bytes < chunk.length) this.#chunks[0] = chunk.subarray(bytes)
    else {
      this.#chunks.shift()
      if (this.#dropped > 0) this.#writeDropped()
    }
  }

  /** There is room again: behind the last line that was kept, before those that are to come. */
  #writeDropped(): void {
    const line = this.#droppedLine?.(this.#dropped) ?? ''
    // What was written may have been less than this line.
    if (this.#add(line)) this.#dropped = 0
  }

  #tellFlushed(error?: Error): void {
    for (const done of this.#flushed.splice(0)) done(error)
  }
}

let shared: StandardOutput | undefined

/** One for the process, however many loggers it has. */
export function standardOutput(): LogDestination {
  return (shared ??= new StandardOutput())
}
