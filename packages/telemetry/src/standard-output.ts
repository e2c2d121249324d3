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
/** Of characters, at which a write begins without waiting for the timer: some three hundred access lines. */
const CHUNK_LENGTH = 65_536
const FLUSH_EVERY_MS = 100
/** A reader that stopped reading, or a full disk, costs lines, which are counted, not memory. */
const MAX_BUFFERED_LENGTH = 8 * 1024 * 1024
/** At the end of the process, how long a reader may take that reads slowly. */
const LAST_WRITE_MS = 1000
const RETRY_AFTER_MS = 10

const nothing = Buffer.alloc(0)

/**
 * The standard output, collected: one write for 64 KiB, or for what 100 ms bring. It writes off the event loop, so a slow
 * reader never holds a request. What cannot be written (a full disk, a closed terminal, a pipe whose reader has gone) is
 * kept and tried again with the next flush. It empties itself when the process ends.
 *
 * pino's own destination is not used: flushSync of sonic-boom 4.2.1 tries again for ever, whatever the error, and blocks
 * the process; and errors other than EPIPE are thrown.
 */
class StandardOutput implements LogDestination {
  #waiting = ''
  /** What is being written, or could not be. */
  #chunk: Buffer = nothing
  #isWriting = false
  #flushed: ((error?: Error) => void)[] = []
  #dropped = 0
  #droppedLine: ((count: number) => string) | undefined

  constructor() {
    setInterval(() => this.#writeNext(), FLUSH_EVERY_MS).unref()
    process.on('exit', () => this.flushSync())
  }

  write(text: string): void {
    if (this.#waiting.length + this.#chunk.length + text.length > MAX_BUFFERED_LENGTH) {
      this.#dropped += 1
      return
    }
    this.#waiting += text
    if (this.#waiting.length >= CHUNK_LENGTH && this.#chunk.length === 0) this.#writeNext()
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
    // A chunk that is being written cannot be taken back, and would be there twice.
    let rest = Buffer.concat([this.#isWriting ? nothing : this.#chunk, Buffer.from(this.#waiting)])
    this.#waiting = ''
    if (!this.#isWriting) this.#chunk = nothing
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

  #writeNext(): void {
    if (this.#isWriting) return
    if (this.#chunk.length === 0) {
      this.#chunk = Buffer.from(this.#waiting)
      this.#waiting = ''
    }
    if (this.#chunk.length === 0) return this.#tellFlushed()
    this.#isWriting = true
    write(FD, this.#chunk, (error, count) => {
      this.#isWriting = false
      if (error) {
        if (errorCode(error) !== 'EAGAIN') this.#tellFlushed(error)
        return
      }
      this.#chunk = this.#chunk.subarray(count)
      if (this.#dropped > 0 && this.#chunk.length === 0) this.#writeDropped()
      const isUrgent = this.#chunk.length > 0 || this.#waiting.length >= CHUNK_LENGTH || this.#flushed.length > 0
      if (isUrgent) this.#writeNext()
    })
  }

  /** There is room again: behind the last line that was kept, before those that are to come. */
  #writeDropped(): void {
    this.#waiting += this.#droppedLine?.(this.#dropped) ?? ''
    this.#dropped = 0
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
