import { readFile, rename, writeFile } from 'node:fs/promises'
import { isRecord } from '@ipfleet/core/json.ts'

/** What is known of a downloaded database: a file beside it, since the directory outlives processes. */
export interface RenewalRecord {
  /** The source and how it was asked; what another one said counts for nothing. */
  readonly source: string
  /** Of the last answer, also of one whose file was refused: it is not fetched again. */
  readonly etag?: string | undefined
  /** Of the file that is there: its ETag, or without one its SHA-256. */
  readonly version?: string | undefined
  /** When the next try is due, by the wall clock: ms since 1970. */
  readonly nextMs: number
}

/** Undefined if there is none that can be read. */
export async function readRenewalRecord(path: string): Promise<RenewalRecord | undefined> {
  try {
    const read: unknown = JSON.parse(await readFile(path, 'utf8'))
    if (!isRecord(read)) return undefined
    const { source, etag, version, nextMs } = read
    if (typeof source !== 'string' || typeof nextMs !== 'number') return undefined
    return { source, etag: textOf(etag), version: textOf(version), nextMs }
  } catch {
    return undefined
  }
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

export async function writeRenewalRecord(path: string, record: RenewalRecord): Promise<void> {
  const next = `${path}.${process.pid}.part`
  await writeFile(next, JSON.stringify(record))
  await rename(next, path)
}
