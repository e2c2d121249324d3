import { type FileHandle, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Writable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { errorCode } from '@ipfleet/core/error-code.ts'
import type { RowValues, RowWriter } from '@ipfleet/ip-lists/result-format.ts'
import { type ResultRow, rowsIn } from '@ipfleet/ip-lists/result-line.ts'
import { failure, ReaderLeft, usageFault } from './command-fault.ts'
import type { BulkOptions } from './command-options.ts'
import { readState, type RunState, statePathOf } from './run-state.ts'
import type { Source } from './sources.ts'
import { type WholeRows, wholeRows } from './whole-rows.ts'

export type OutputPlan =
  | { readonly kind: 'stream' }
  /** A pipe or a device, which keeps no results to continue from. */
  | { readonly kind: 'device'; readonly path: string }
  | { readonly kind: 'file'; readonly path: string; readonly before: RunBefore | undefined }

export interface RunBefore {
  readonly state: RunState
  readonly rows: WholeRows
}

/**
 * Reads what is there, and changes nothing.
 * @param path absolute; undefined: standard output
 * @throws CommandFault with exit code 2 for what would be overwritten unasked
 */
export async function planOutput(
  path: string | undefined,
  { output = '', format, resume, force }: BulkOptions,
  sources: readonly Source[],
): Promise<OutputPlan> {
  if (path === undefined) return { kind: 'stream' }
  const there = await statOf(path)
  const folder = dirname(output)
  if (!there && !(await statOf(dirname(path))))
    throw usageFault(`${output} cannot be written: there is no folder ${folder}`)
  const lists = await Promise.all(sources.map(async ({ print }) => print && statOf(print.path)))
  if (there && lists.some((list) => list?.ino === there.ino && list.dev === there.dev)) {
    throw usageFault(`${output} is a list that is to be read`)
  }
  if (there?.isDirectory()) throw usageFault(`${output} is a folder`)
  if (there !== undefined && !there.isFile()) return { kind: 'device', path }
  const isThere = (there?.size ?? 0) > 0
  // How many rows there are in what is packed is not known, and Parquet tells what is where at its end.
  if (format === 'parquet' || isPacked(path)) {
    const is = format === 'parquet' ? 'Parquet' : 'packed'
    if (resume === 'required') throw usageFault(`${output} is ${is}, and cannot be gone on with`)
    if (isThere && !force) throw takenFault(output)
    return { kind: 'device', path }
  }
  const state = resume === 'never' ? undefined : await readState(path)
  if (state !== undefined && !force) {
    const rows = there === undefined ? { lines: 0, bytes: 0 } : await wholeRows(path, format)
    return { kind: 'file', path, before: { state, rows } }
  }
  if (resume === 'required') throw usageFault(`there is no ${statePathOf(output)} to go on from`)
  const isOurs = resume === 'never' && (await statOf(statePathOf(path))) !== undefined
  if (isThere && !force && !isOurs) throw takenFault(output)
  return { kind: 'file', path, before: undefined }
}

const takenFault = (output: string): Error => usageFault(`${output} is there already; --force overwrites it`)

/** Throws ReaderLeft and CommandFault. */
type Write = (data: Buffer | string) => Promise<void>
/** Adds what rows of the lists have of their own to their results; up to the first result that is of another row. */
export type RowJoin = (rows: readonly ResultRow[]) => Promise<readonly (ResultRow | RowValues)[]>

export interface OutputOptions {
  readonly fields?: readonly string[] | undefined
  readonly join?: RowJoin | undefined
  readonly file?: FileHandle
  readonly hasHead?: boolean
}

const isPacked = (path: string): boolean => /\.gz$/i.test(path)

/** Takes results, and writes them as rows of a format. */
export class ResultOutput {
  readonly #rows: RowWriter
  readonly #write: Write
  readonly #file: FileHandle | undefined
  readonly #join: RowJoin | undefined
  #hasHead: boolean
  #isFirst = true
  /** Lines of addresses that no network owns. */
  bogons = 0
  /** Of the fields that are looked for, those that no record had so far. */
  readonly missing: Set<string>

  constructor(rows: RowWriter, write: Write, { fields = [], join, file, hasHead = false }: OutputOptions) {
    this.missing = new Set(fields)
    this.#join = join
    this.#rows = rows
    this.#write = write
    this.#file = file
    this.#hasHead = hasHead
  }

  /** Truncates the file to `bytes`, and continues behind them. @throws CommandFault */
  static async toFile(path: string, rows: RowWriter, bytes: number, options: OutputOptions): Promise<ResultOutput> {
    try {
      const file = await open(path, 'a')
      if ((await file.stat()).isFile()) await file.truncate(bytes)
      // Gzip files may follow one another in one (RFC 1952 §2.2).
      const packed = isPacked(path) ? gzipSync : undefined
      const write: Write = async (data) => {
        try {
          await file.appendFile(packed ? packed(data) : data)
        } catch (error) {
          throw writingFailure(error)
        }
      }
      return new ResultOutput(rows, write, { ...options, file, hasHead: bytes > 0 })
    } catch (error) {
      throw writingFailure(error)
    }
  }

  /**
   * @param lines whole ones, each with its line end
   * @returns how many were written: fewer where the next one is of another row than the next of the list
   * @throws ReaderLeft, CommandFault
   */
  async addLines(lines: Buffer): Promise<number> {
    return lines.length > 0 ? this.add(rowsIn(lines), lines) : 0
  }

  /** @param lines the same, if they are there. @returns and throws as `addLines` */
  async add(rows: readonly ResultRow[], lines?: Buffer): Promise<number> {
    const joined = this.#join ? await this.#join(rows) : rows
    if (joined.length === 0) return 0
    const taken = rows.slice(0, joined.length)
    for (const row of taken) if (row['bogon'] === true) this.bogons += 1
    for (const field of this.missing) if (taken.some((row) => Object.hasOwn(row, field))) this.missing.delete(field)
    await this.#begin()
    const pass = lines && joined === rows ? this.#rows.lines?.(lines, this.#isFirst) : undefined
    await this.#put(pass ?? this.#rows.rows(joined, this.#isFirst))
    this.#isFirst = false
    return joined.length
  }

  /** After the last result. @throws as `add` */
  async end(): Promise<void> {
    const { empty, tail } = this.#rows
    if (empty !== undefined && !this.#hasHead) return this.#put(empty)
    await this.#begin()
    await this.#put(tail)
  }

  async close(): Promise<void> {
    await this.#file?.close()
  }

  /** Called when there is something to write: a run that fails before leaves an empty file, which may be overwritten. */
  async #begin(): Promise<void> {
    if (this.#hasHead) return
    this.#hasHead = true
    await this.#put(this.#rows.head)
  }

  async #put(data: Buffer | string): Promise<void> {
    if (data.length > 0) await this.#write(data)
  }
}

function writingFailure(error: unknown): Error {
  const code = errorCode(error)
  return code === 'EPIPE' ? new ReaderLeft() : failure(`the results cannot be written (${code ?? 'unknown'})`, error)
}

/** Writes to a stream no faster than it accepts data. What it returns throws ReaderLeft and CommandFault. */
export function toStream(stream: Writable): Write {
  return (data) =>
    new Promise<void>((resolve, reject) => {
      stream.write(data, (error) => (error ? reject(writingFailure(error)) : resolve()))
    })
}

async function statOf(path: string) {
  try {
    return await stat(path)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw usageFault(`${path} cannot be written (${errorCode(error) ?? 'unknown'})`)
  }
}
