import { plainFields } from '@ipfleet/ip-lists/record-fields.ts'
import type { Own } from './list-rows.ts'

/** Before the name of an added column that the list has too. */
const prefixOnClash = 'ip_'

/** How results are joined with the rows that they are of. */
export class OwnColumns {
  readonly #columns: readonly string[]
  readonly #prefix: string | undefined

  /**
   * @param columns of the list
   * @param prefix of every added column; undefined: only of those that the list has too
   */
  constructor(columns: readonly string[], prefix: string | undefined) {
    this.#columns = columns
    this.#prefix = prefix
  }

  /** Of a table: those of the list, then those that are added. */
  columnsWith(fields: readonly string[] | undefined): readonly string[] {
    return [...this.#columns, ...this.addedWith(fields).keys()]
  }

  /** The columns that are added, each with the field that it is of. */
  addedWith(fields: readonly string[] | undefined): ReadonlyMap<string, string> {
    return new Map([...(fields ?? plainFields), 'error'].map((name) => [this.#added(name, this.#columns), name]))
  }

  /**
   * @param lines results, whole lines of NDJSON
   * @param own what each of them has of its own
   */
  joined(lines: Buffer, own: readonly (Own | undefined)[]): Buffer {
    if (own.every((one) => one === undefined)) return lines
    const results = lines.toString('utf8').trimEnd().split('\n')
    return Buffer.from(results.map((line, at) => `${this.#joinedLine(line, own[at])}\n`).join(''))
  }

  #joinedLine(line: string, own: Own | undefined): string {
    if (own === undefined) return line
    const result = JSON.parse(line) as Readonly<Record<string, unknown>>
    if (own.kind === 'text') return JSON.stringify({ ...result, input: own.text })
    const members: Readonly<Record<string, unknown>> =
      own.kind === 'object'
        ? own.members
        : Object.fromEntries(own.cells.map((cell, at) => [this.#columns[at] ?? `column_${at + 1}`, cell]))
    const { input, ...rest } = result
    const names = Object.keys(members)
    const added = Object.entries(rest).map(([name, value]) => [this.#added(name, names), value] as const)
    return JSON.stringify({ input, ...members, ...Object.fromEntries(added) })
  }

  #added(name: string, own: readonly string[]): string {
    if (this.#prefix !== undefined && name !== 'error') return `${this.#prefix}${name}`
    return own.includes(name) ? `${prefixOnClash}${name}` : name
  }
}
