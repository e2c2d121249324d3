import type { ConvertedType } from 'hyparquet'
import type { ByteWriter, ParquetWriter, SchemaElement } from 'hyparquet-writer'
import { type RowWriter, valueOf } from '@ipfleet/ip-lists/result-format.ts'
import type { ResultRow } from '@ipfleet/ip-lists/result-line.ts'
import { fractionDigits, type ParquetType } from './parquet-file.ts'

/** So much is held in memory before it is written: a row group. */
const maxGroupRows = 50_000
const maxGroupBytes = 32 * 2 ** 20
const bytesOfNumber = 8

const text: ParquetType = { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } }
const booleans = /^(?:anycast|bogon|is_(?:anonymous|anycast|bogon|hosting|mobile|satellite))$/

/** Types of columns, where they are not text. @param added columns, each with the field of a record that it is of */
export function fieldTypes(added: ReadonlyMap<string, string>): ReadonlyMap<string, ParquetType> {
  return new Map([...added].filter(([, field]) => booleans.test(field)).map(([name]) => [name, { type: 'BOOLEAN' }]))
}

/**
 * Rows as Parquet, packed by Snappy.
 * @param types of columns; the others are texts, in which what is no text is JSON. What is not there is null.
 */
export async function parquetWriter(
  columns: readonly string[],
  types: ReadonlyMap<string, ParquetType>,
): Promise<RowWriter> {
  const library = await import('hyparquet-writer')
  return new ParquetRows([...new Set(columns)], types, library)
}

interface Library {
  readonly ByteWriter: typeof ByteWriter
  readonly ParquetWriter: typeof ParquetWriter
}

class ParquetRows implements RowWriter {
  readonly #columns: readonly { readonly name: string; readonly type: ParquetType }[]
  readonly #bytes: ByteWriter
  readonly #writer: ParquetWriter
  /** By column. */
  #held: unknown[][]
  #heldBytes = 0
  readonly head = ''

  constructor(names: readonly string[], types: ReadonlyMap<string, ParquetType>, library: Library) {
    this.#columns = names.map((name) => ({ name, type: storedAs(types.get(name)) }))
    this.#held = names.map(() => [])
    this.#bytes = new library.ByteWriter()
    const elements = this.#columns.map(({ name, type }): SchemaElement => ({
      ...type,
      name,
      repetition_type: 'OPTIONAL',
    }))
    const schema: SchemaElement[] = [{ name: 'schema', num_children: elements.length }, ...elements]
    this.#writer = new library.ParquetWriter({ writer: this.#bytes, schema, createdBy: 'ipfleet' })
  }

  readonly rows: RowWriter['rows'] = (rows) => {
    for (const row of rows) {
      for (const [at, { name, type }] of this.#columns.entries()) {
        const value = storedValue(valueOf(row as ResultRow, name), type, name)
        this.#held[at]?.push(value)
        this.#heldBytes += typeof value === 'string' ? value.length : bytesOfNumber
      }
    }
    const isFull = this.#heldBytes >= maxGroupBytes || (this.#held[0]?.length ?? 0) >= maxGroupRows
    if (isFull) this.#writeGroup()
    return this.#taken()
  }

  /** To be read once, after the last row. */
  get tail(): Buffer {
    this.#writeGroup()
    void this.#writer.finish()
    return this.#taken()
  }

  #writeGroup(): void {
    const columnData = this.#columns.map(({ name }, at) => ({ name, data: this.#held[at] ?? [] }))
    void this.#writer.write({ columnData, rowGroupSize: maxGroupRows })
    this.#held = this.#columns.map(() => [])
    this.#heldBytes = 0
  }

  #taken(): Buffer {
    const bytes = Buffer.from(this.#bytes.getBytes().slice())
    this.#bytes.index = 0
    return bytes
  }
}

/** What a column had where it comes from, without what is of that file. */
function storedAs(given: ParquetType | undefined): ParquetType {
  if (given === undefined || given.type === 'BYTE_ARRAY') return text
  const { type, converted_type, logical_type } = given
  if (logical_type?.type === 'INTEGER') {
    // hyparquet-writer 0.17 writes bitWidth as an i32 (format: i8): DuckDB and Arrow cannot read the file. The older
    // annotation says the same.
    const { isSigned, bitWidth } = logical_type
    return { ...(type && { type }), converted_type: `${isSigned ? '' : 'U'}INT_${bitWidth}` as ConvertedType }
  }
  return { ...(type && { type }), ...(converted_type && { converted_type }), ...(logical_type && { logical_type }) }
}

/** Of what JSON holds: the inverse of what `ParquetFile` makes of values. */
function storedValue(value: unknown, stored: ParquetType, name: string): unknown {
  const { type, converted_type, logical_type } = stored
  if (value === undefined || value === null || (name === 'error' && value === '')) return null
  if (type === 'BYTE_ARRAY') return typeof value === 'string' ? value : JSON.stringify(value)
  if (typeof value === 'string' && (converted_type === 'DATE' || logical_type?.type === 'DATE')) {
    return Date.parse(`${value}T00:00:00Z`) / 86_400_000
  }
  const digits = fractionDigits(stored)
  if (typeof value === 'string' && digits !== undefined) {
    const units = unitsIn(value, digits)
    return type === 'INT32' ? Number(units) : units
  }
  if (type === 'INT64') return BigInt(value as number | string)
  return value
}

/** Milliseconds, microseconds or nanoseconds since 1970, or since midnight. */
function unitsIn(time: string, digits: number): bigint {
  const [seconds = '', fraction = ''] = time.replace(/Z$/, '').split('.')
  const whole = seconds.includes('T')
    ? Date.parse(`${seconds}Z`) / 1000
    : seconds.split(':').reduce((sum, part) => sum * 60 + Number(part), 0)
  return BigInt(whole) * 10n ** BigInt(digits) + BigInt(fraction.padEnd(digits, '0').slice(0, digits))
}
