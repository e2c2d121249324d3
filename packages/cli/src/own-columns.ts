import { type RowValues, valueOf } from '@ipfleet/ip-lists/result-format.ts'
import type { ResultRow } from '@ipfleet/ip-lists/result-line.ts'
import { plainFields } from '@ipfleet/ip-lists/record-fields.ts'
import { unnamedColumn } from './json-records.ts'
import type { Own } from './list-rows.ts'

/** Before the name of an added column that the list has too. */
const prefixOnClash = 'ip_'

/** So many columns are told that a table has no room for. */
const maxLeftOut = 20

/** How results are joined with the rows that they are of. */
export class OwnColumns {
  readonly #columns: readonly string[]
  readonly #prefix: string | undefined
  readonly #known: ReadonlySet<string>
  readonly #left = new Set<string>()

  /**
   * @param columns of the list
   * @param prefix of every added column; undefined: only of those that the list has too
   */
  constructor(columns: readonly string[], prefix: string | undefined) {
    this.#columns = columns
    this.#known = new Set(columns)
    this.#prefix = prefix
  }

  /** Columns that only later rows have, so that a table has none of them. */
  get leftOut(): readonly string[] {
    return [...this.#left].slice(0, maxLeftOut)
  }

  /** Of a table: those of the list, then those that are added. */
  columnsWith(fields: readonly string[] | undefined): readonly string[] {
    return [...this.#columns, ...this.addedWith(fields).keys()]
  }

  /** Takes note of what rows have that no column of a table is for. */
  noteLeftOut(own: readonly (Own | undefined)[]): void {
    for (const row of own) {
      if (row === undefined || row.kind === 'text' || this.#left.size >= maxLeftOut) continue
      if (row.kind === 'cells' && row.cells.length <= this.#columns.length) continue
      for (const [name, value] of entriesOf(row, this.#columns))
        if (!this.#known.has(name) && value !== '') this.#left.add(name)
    }
  }

  /** The columns that are added, each with the field that it is of. */
  addedWith(fields: readonly string[] | undefined): ReadonlyMap<string, string> {
    return new Map([...(fields ?? plainFields), 'error'].map((name) => [this.#added(name, this.#columns), name]))
  }

  /**
   * @param own what each of the results has of its own
   * @returns the results themselves where none has anything
   */
  joined(results: readonly ResultRow[], own: readonly (Own | undefined)[]): readonly ResultRow[] {
    if (own.every((one) => one === undefined)) return results
    return results.map((result, at) => this.#joinedRow(result, own[at]))
  }

  /** The same for a table with the columns of `columnsWith`: a row is the values of these. */
  joinedValues(
    results: readonly ResultRow[],
    own: readonly (Own | undefined)[],
    fields: readonly string[] | undefined,
  ): readonly (ResultRow | RowValues)[] {
    const added = [...this.addedWith(fields).values()]
    return results.map((result, at) => {
      const row = own[at]
      if (row === undefined || row.kind === 'text') return this.#joinedRow(result, row)
      const values: unknown[] = this.#columns.map((name, column) => {
        if (row.kind === 'cells') return row.cells[column]
        return Object.hasOwn(row.members, name) ? row.members[name] : undefined
      })
      for (const field of added) values.push(valueOf(result, field))
      return values
    })
  }

  #joinedRow(result: ResultRow, own: Own | undefined): ResultRow {
    if (own === undefined) return result
    if (own.kind === 'text') return { ...result, input: own.text }
    const names = own.kind === 'object' ? Object.keys(own.members) : this.#columns
    const { input, ...added } = result
    // Of entries, so that `__proto__` is a column like any other.
    return Object.fromEntries([
      ['input', input],
      ...entriesOf(own, this.#columns),
      ...Object.entries(added).map(([name, value]) => [this.#added(name, names), value] as const),
    ])
  }

  #added(name: string, own: readonly string[]): string {
    if (this.#prefix !== undefined && name !== 'error') return `${this.#prefix}${name}`
    return own.includes(name) ? `${prefixOnClash}${name}` : name
  }
}

function entriesOf(own: Exclude<Own, { kind: 'text' }>, columns: readonly string[]): [string, unknown][] {
  if (own.kind === 'object') return Object.entries(own.members)
  return own.cells.map((cell, at) => [columns[at] ?? unnamedColumn(at), cell])
}
