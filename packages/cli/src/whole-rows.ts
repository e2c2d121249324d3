import { open } from 'node:fs/promises'
import { type Format, isDelimited } from '@ipfleet/ip-lists/result-format.ts'

export interface WholeRows {
  /** Complete lines, including those of the head. */
  readonly lines: number
  /** Up to the end of the last of them. */
  readonly bytes: number
}

const blockBytes = 1024 * 1024
const lineEnd = 0x0a
const quote = 0x22
/** A `]` on a line of its own, shorter than that of any element. */
const endOfArray = 2

/**
 * Counts what an interrupted run has written. An incomplete last line is not counted. In a CSV, a line end between quotes
 * ends no row; a doubled quote closes and opens the quotes, so that it needs no rule.
 */
export async function wholeRows(path: string, format: Format): Promise<WholeRows> {
  const file = await open(path, 'r')
  const isTable = isDelimited(format)
  try {
    const block = Buffer.allocUnsafe(blockBytes)
    let lines = 0
    let bytes = 0
    let offset = 0
    let isQuoted = false
    for (;;) {
      const { bytesRead } = await file.read(block, 0, blockBytes)
      if (bytesRead === 0) return { lines, bytes }
      const text = block.subarray(0, bytesRead)
      let from = 0
      for (let at = text.indexOf(lineEnd); at !== -1; at = text.indexOf(lineEnd, at + 1)) {
        if (isTable) isQuoted = isQuotedAfter(text.subarray(from, at), isQuoted)
        from = at
        if (isQuoted) continue
        // The run ended behind the array: its end, which is no row, is written once more.
        if (format === 'json' && lines > 1 && offset + at + 1 - bytes === endOfArray) return { lines, bytes: bytes - 1 }
        lines += 1
        bytes = offset + at + 1
      }
      if (isTable) isQuoted = isQuotedAfter(text.subarray(from), isQuoted)
      offset += bytesRead
    }
  } finally {
    await file.close()
  }
}

function isQuotedAfter(text: Buffer, isQuotedBefore: boolean): boolean {
  let isQuoted = isQuotedBefore
  for (let at = text.indexOf(quote); at !== -1; at = text.indexOf(quote, at + 1)) isQuoted = !isQuoted
  return isQuoted
}

/** Parquet is not gone on with. */
export const headLines = (format: Format | 'parquet'): number => (format === 'ndjson' || format === 'parquet' ? 0 : 1)

/** Results in whole lines of NDJSON. */
export function countLines(lines: Buffer): number {
  let count = 0
  for (let at = lines.indexOf(lineEnd); at !== -1; at = lines.indexOf(lineEnd, at + 1)) count += 1
  return count
}
