import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { databaseBytes, UnusableArchive, type UnpackLimits } from '../database-bytes.ts'
import { mmdbIn, UselessDatabase } from '../mmdb.ts'

export interface ProbeOptions {
  /** As it was downloaded. */
  readonly from: string
  /** A new file: the database, unpacked and on the disk. */
  readonly to: string
  /** The one that is there, if it is: none that was built before it is taken. */
  readonly before: string
  readonly limits: UnpackLimits
}

export type ProbeResult =
  | { readonly kind: 'good'; readonly type: string; readonly builtMs: number }
  /** In words that follow "the file". */
  | { readonly kind: 'refused'; readonly reason: string }

/**
 * Unpacks a database, opens it, looks some addresses up, and writes it. It blocks, and may take all memory.
 * @throws when the disk fails, which says nothing about the file
 */
export function probeFile(options: ProbeOptions): ProbeResult {
  try {
    return probed(options)
  } catch (error) {
    if (error instanceof Error && 'syscall' in error) throw error
    const isTold = error instanceof UselessDatabase || error instanceof UnusableArchive
    return { kind: 'refused', reason: isTold ? error.message : 'is no whole MMDB' }
  }
}

function probed({ from, to, before, limits }: ProbeOptions): ProbeResult {
  const bytes = databaseBytes(readFileSync(from), limits)
  if (bytes.length > limits.maxBytes) return { kind: 'refused', reason: `has more than ${limits.maxBytes} bytes` }
  const { type, builtAt } = mmdbIn(bytes)
  const there = builtIn(before)
  if (there && builtAt < there) {
    return { kind: 'refused', reason: `is older (${dayOf(builtAt)}) than the one that is there (${dayOf(there)})` }
  }
  writeWhole(to, bytes)
  return { kind: 'good', type, builtMs: builtAt.getTime() }
}

/** Undefined if there is no file, or a broken one. */
function builtIn(path: string): Date | undefined {
  try {
    return mmdbIn(readFileSync(path)).builtAt
  } catch {
    return undefined
  }
}

const dayOf = (date: Date): string => date.toISOString().slice(0, 10)

function writeWhole(path: string, bytes: Buffer): void {
  const file = openSync(path, 'wx')
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
