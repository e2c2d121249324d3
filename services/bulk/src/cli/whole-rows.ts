import { open } from 'node:fs/promises'
import type { Format } from '../results/result-format.ts'

export interface WholeRows {
  /** Lines that are there to their ends, heads included. */
  readonly lines: number
  /** Up to the end of the last of them. */
  readonly bytes: number
}

const blockBytes = 1024 * 1024
const lineEnd = 0x0a
const quote = 0x22

/**
 * Counts what an interrupted run has written. A line without its end was torn and is not counted; in a CSV, a line
 * end between quotes ends no row.
 */
export async function wholeRows(path: string, format: Format): Promise<WholeRows> {
  const count = format === 'csv' ? new CsvCount() : new LineCount()
  const file = await open(path, 'r')
  try {
    const block = Buffer.allocUnsafe(blockBytes)
    for (;;) {
      const { bytesRead } = await file.read(block, 0, blockBytes)
      if (bytesRead === 0) return { lines: count.lines, bytes: count.wholeBytes }
      count.add(block.subarray(0, bytesRead))
    }
  } finally {
    await file.close()
  }
}

class LineCount {
  lines = 0
  wholeBytes = 0
  #bytes = 0

  add(block: Buffer): void {
    for (let at = block.indexOf(lineEnd); at !== -1; at = block.indexOf(lineEnd, at + 1)) {
      this.lines += 1
      this.wholeBytes = this.#bytes + at + 1
    }
    this.#bytes += block.length
  }
}

class CsvCount {
  lines = 0
  wholeBytes = 0
  #bytes = 0
  #isQuoted = false

  /** A doubled quote inside quotes closes and opens them, which comes to the same. */
  add(block: Buffer): void {
    for (let at = 0; at < block.length; at++) {
      const byte = block[at]
      if (byte === quote) this.#isQuoted = !this.#isQuoted
      if (byte !== lineEnd || this.#isQuoted) continue
      this.lines += 1
      this.wholeBytes = this.#bytes + at + 1
    }
    this.#bytes += block.length
  }
}

/** How many lines there are before the first result. */
export const headLines = (format: Format): number => (format === 'ndjson' ? 0 : 1)

/** Of NDJSON: how many results there are. */
export function countLines(lines: Buffer): number {
  let count = 0
  for (let at = lines.indexOf(lineEnd); at !== -1; at = lines.indexOf(lineEnd, at + 1)) count += 1
  return count
}
