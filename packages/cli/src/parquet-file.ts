import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib'
import type { AsyncBuffer, Compressors, FileMetaData, SchemaElement } from 'hyparquet'
import { isRecord } from '@ipfleet/core/json.ts'
import { CommandFault, failure, usageFault } from './command-fault.ts'

/** How the values of a column are stored. */
export type ParquetType = Pick<SchemaElement, 'type' | 'converted_type' | 'logical_type'>

/** Of a column, by what JSON can hold. */
export type ParquetRow = Readonly<Record<string, unknown>>

/** A part of a row group. Besides it, only the packed columns of that group are in memory. */
const rowsAtATime = 20_000
const maxGroupRows = 4_194_304
/** Of one row group, unpacked. */
const maxGroupBytes = 2 ** 30
/** Pages are made of about 1 MiB. */
const maxPageBytes = 2 ** 28

/** A Parquet file, whose rows are read some thousands at a time. */
export class ParquetFile {
  readonly #name: string
  readonly #file: AsyncBuffer
  readonly #metadata: FileMetaData
  #rowsRead = 0
  readonly columns: readonly string[]
  /** Of columns of plain values. Those that have others (lists, structs, decimals) are not there. */
  readonly types: ReadonlyMap<string, ParquetType>
  /** Digits behind the point, by column. */
  readonly #decimals: ReadonlyMap<string, number>
  /** The same of times of day. */
  readonly #timesOfDay: ReadonlyMap<string, number>

  private constructor(name: string, file: AsyncBuffer, metadata: FileMetaData) {
    this.#name = name
    this.#file = file
    const elements = topLevel(metadata.schema)
    // Of bytes without a fixed length, which only old writers have, hyparquet makes texts: these are left to it.
    const decimals = new Set(elements.filter((element) => isDecimal(element) && element.type !== 'BYTE_ARRAY'))
    // hyparquet 1.31 makes a double of a decimal, which has 15 digits of up to 38; without their type they come as they
    // are.
    const schema = metadata.schema.map((element) => (decimals.has(element) ? untyped(element) : element))
    this.#metadata = { ...metadata, schema }
    this.#decimals = new Map([...decimals].map(({ name: column, scale = 0 }) => [column, scale]))
    this.columns = elements.map((element) => element.name)
    this.types = new Map(elements.filter(isPlain).map((element) => [element.name, element]))
    const times = [...this.types].filter(([, type]) => isTimeOfDay(type))
    this.#timesOfDay = new Map(times.map(([column, type]) => [column, fractionDigits(type) ?? 0]))
  }

  /** @param name for messages. @throws CommandFault for a file that is broken, or has too large row groups */
  static async open(path: string, name: string): Promise<ParquetFile> {
    const { asyncBufferFromFile, parquetMetadataAsync } = await import('hyparquet')
    let metadata: FileMetaData
    const whole = await asyncBufferFromFile(path)
    const { byteLength } = whole
    const file: AsyncBuffer = {
      byteLength,
      slice(start, end = byteLength) {
        if (start < 0 || end > byteLength || start > end) throw new Error('it points outside of itself')
        return whole.slice(start, end)
      },
    }
    try {
      metadata = await parquetMetadataAsync(file)
    } catch (error) {
      throw broken(name, error)
    }
    for (const group of metadata.row_groups) {
      if (group.num_rows <= maxGroupRows && group.total_byte_size <= maxGroupBytes) continue
      throw usageFault(
        `${name} has a row group of ${group.num_rows} rows and ${group.total_byte_size} bytes; up to ${maxGroupRows} and ` +
          `${maxGroupBytes} are read. Write it again: duckdb -c "COPY (FROM '${name}') TO 'smaller.parquet' (ROW_GROUP_SIZE 100000)"`,
      )
    }
    return new ParquetFile(name, file, metadata)
  }

  /** Of the file, by the share of its rows that was read. */
  get bytesRead(): number {
    return Math.round((this.#file.byteLength * this.#rowsRead) / Math.max(1, Number(this.#metadata.num_rows)))
  }

  /** @throws CommandFault for what is broken, or packed by a method that is not read */
  async *rows(): AsyncGenerator<readonly ParquetRow[]> {
    let groupStart = 0
    for (const group of this.#metadata.row_groups) {
      const groupEnd = groupStart + Number(group.num_rows)
      for (let start = groupStart; start < groupEnd; start += rowsAtATime) {
        const rows = await this.#read(start, Math.min(start + rowsAtATime, groupEnd))
        this.#rowsRead += rows.length
        yield rows
      }
      groupStart = groupEnd
    }
  }

  async #read(rowStart: number, rowEnd: number): Promise<readonly ParquetRow[]> {
    const { parquetReadObjects, snappyUncompress } = await import('hyparquet')
    const options = { file: this.#file, metadata: this.#metadata, parsers, useOffsetIndex: true, rowStart, rowEnd }
    const compressors: Compressors = {
      ...unpackers,
      SNAPPY: (packed, length) => {
        const page = new Uint8Array(acceptedLength(length))
        snappyUncompress(packed, page)
        return page
      },
    }
    try {
      const rows = await parquetReadObjects({ ...options, compressors })
      return rows.map((row) => this.#plainRow(row))
    } catch (error) {
      const codec = error instanceof Error ? /unsupported compression codec: (\w+)/.exec(error.message)?.[1] : undefined
      if (error instanceof Error && error.message.endsWith(' not supported')) throw unsupported(this.#name, error)
      if (codec === undefined) throw broken(this.#name, error)
      throw usageFault(
        `${this.#name} is packed by ${codec}, which is not read; write it again with Snappy, gzip, Brotli or Zstandard: ` +
          `duckdb -c "COPY (FROM '${this.#name}') TO 'list.parquet'"`,
      )
    }
  }

  #plainRow(row: Readonly<Record<string, unknown>>): ParquetRow {
    return Object.fromEntries(
      this.columns.map((name) => {
        const scale = this.#decimals.get(name)
        const digits = this.#timesOfDay.get(name)
        if (scale !== undefined) return [name, decimalNumber(row[name], scale)]
        if (digits !== undefined) return [name, timeOfDay(row[name], digits)]
        const value = plainValue(row[name])
        const type = this.types.get(name)?.logical_type
        // A local time is in no time zone.
        const isLocal = type?.type === 'TIMESTAMP' && !type.isAdjustedToUTC && typeof value === 'string'
        return [name, isLocal ? value.replace(/Z$/, '') : value]
      }),
    )
  }
}

/** Node has what hyparquet leaves to others. No page becomes larger than it says. */
const unpackers: Compressors = {
  GZIP: (packed, length) => gunzipSync(packed, atMost(length)),
  BROTLI: (packed, length) => brotliDecompressSync(packed, atMost(length)),
  ZSTD: (packed, length) => zstdDecompressSync(packed, atMost(length)),
}

/** Zlib accepts no limit of 0. */
const atMost = (length: number) => ({ maxOutputLength: Math.max(1, acceptedLength(length)) })

function acceptedLength(length: number): number {
  if (length <= maxPageBytes) return length
  throw new Error(`a page of it has ${length} bytes, more than ${maxPageBytes}`)
}

/** Times as texts, which have all digits that the file has. */
const parsers = {
  timestampFromMilliseconds: (time: bigint): string | null => timeText(time, 3),
  timestampFromMicroseconds: (time: bigint): string | null => timeText(time, 6),
  timestampFromNanoseconds: (time: bigint): string | null => timeText(time, 9),
  dateFromDays: (days: number): string | null => timeText(BigInt(days) * 86_400n, 0)?.replace(/T.*/, '') ?? null,
}

/** @param digits of the fraction of a second. @returns null for a time that no calendar of JavaScript has */
function timeText(time: bigint, digits: number): string | null {
  const perSecond = 10n ** BigInt(digits)
  const fraction = ((time % perSecond) + perSecond) % perSecond
  const date = new Date(Number((time - fraction) / perSecond) * 1000)
  if (Number.isNaN(date.getTime())) return null
  const text = date.toISOString().slice(0, -5)
  return digits === 0 ? text : `${text}.${String(fraction).padStart(digits, '0')}Z`
}

/** Up to 24:00:00, the end of a day. hyparquet 1.31 leaves these as numbers. */
function timeOfDay(value: unknown, digits: number): string | null {
  if ((typeof value !== 'number' && typeof value !== 'bigint') || value < 0) return null
  const perSecond = 10n ** BigInt(digits)
  const time = BigInt(value)
  const seconds = Number(time / perSecond)
  const parts = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map(twoDigits)
  return `${parts.join(':')}.${String(time % perSecond).padStart(digits, '0')}`
}

const twoDigits = (number: number): string => String(Math.trunc(number)).padStart(2, '0')

/** Digits of the fraction of a second, in columns of times. */
export function fractionDigits({ converted_type, logical_type }: ParquetType): number | undefined {
  if (logical_type?.type === 'TIMESTAMP' || logical_type?.type === 'TIME') {
    return { MILLIS: 3, MICROS: 6, NANOS: 9 }[logical_type.unit]
  }
  const unit = /^TIME(?:STAMP)?_(.*)$/.exec(converted_type ?? '')?.[1]
  return unit === 'MILLIS' ? 3 : unit === 'MICROS' ? 6 : undefined
}

/** What JSON can hold: numbers that are too large for it as texts, bytes in hexadecimal digits. */
function plainValue(value: unknown): unknown {
  if (value === undefined || value === null) return null
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (Array.isArray(value)) return value.map(plainValue)
  if (!isRecord(value) || value instanceof Date) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plainValue(member)]))
}

/** A number of JSON with all digits. @param value in units of the last digit, as a number or in big-endian bytes */
function decimalNumber(value: unknown, scale: number): unknown {
  if (value === undefined || value === null) return null
  const units =
    value instanceof Uint8Array
      ? BigInt.asIntN(value.length * 8, BigInt(`0x${Buffer.from(value).toString('hex')}`))
      : BigInt(value as number)
  const digits = String(units)
    .replace('-', '')
    .padStart(scale + 1, '0')
  const point = digits.length - scale
  return JSON.rawJSON(`${units < 0n ? '-' : ''}${digits.slice(0, point)}${scale > 0 ? `.${digits.slice(point)}` : ''}`)
}

/** The schema is a tree in its order of depth; the root is its first element. */
function topLevel(schema: readonly SchemaElement[]): SchemaElement[] {
  const elements: SchemaElement[] = []
  for (let at = 1; at < schema.length; at = behind(schema, at)) {
    const element = schema[at]
    if (element) elements.push(element)
  }
  return elements
}

function behind(schema: readonly SchemaElement[], start: number): number {
  let at = start + 1
  for (let left = schema[start]?.num_children ?? 0; left > 0 && at < schema.length; left -= 1) at = behind(schema, at)
  return at
}

const plainTypes: ReadonlySet<string> = new Set(['BOOLEAN', 'INT32', 'INT64', 'FLOAT', 'DOUBLE'])
const texts: ReadonlySet<unknown> = new Set(['UTF8', 'ENUM', undefined])

const isTimeOfDay = ({ converted_type, logical_type }: ParquetType): boolean =>
  logical_type?.type === 'TIME' || converted_type?.startsWith('TIME_') === true

const isDecimal = ({ converted_type, logical_type }: SchemaElement): boolean =>
  converted_type === 'DECIMAL' || logical_type?.type === 'DECIMAL'

function untyped(element: SchemaElement): SchemaElement {
  return Object.fromEntries(
    Object.entries(element).filter(([name]) => !/^(?:converted|logical)_type$/.test(name)),
  ) as unknown as SchemaElement
}

function isPlain(element: SchemaElement): boolean {
  const { type, num_children, repetition_type, converted_type, logical_type } = element
  if (type === undefined || (num_children ?? 0) > 0 || repetition_type === 'REPEATED') return false
  if (isDecimal(element)) return false
  if (type === 'BYTE_ARRAY') return texts.has(converted_type) && logical_type?.type !== 'JSON'
  return plainTypes.has(type)
}

/** hyparquet reads all columns, and has no type for some (intervals). */
function unsupported(name: string, { message }: Error): Error {
  return usageFault(
    `${name} has what is not read (${message}); leave that out: ` +
      `duckdb -c "COPY (SELECT … FROM '${name}') TO 'list.parquet'"`,
  )
}

function broken(name: string, cause: unknown): Error {
  if (cause instanceof CommandFault) return cause
  const why = cause instanceof Error ? ` (${cause.message.slice(0, 200)})` : ''
  return failure(`${name} is Parquet that is broken or cut short${why}`, cause)
}
