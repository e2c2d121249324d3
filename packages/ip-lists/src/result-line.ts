import { memberAt } from './json-inputs.ts'

/** What a result line says instead of a record. `code` is for counting; clients see title and message. */
export interface LineError {
  readonly code: string
  readonly title: string
  readonly message: string
}

export type ResultRow = Readonly<Record<string, unknown>>

/**
 * The input as it was given, then the record's members, or only the wanted ones and `bogon`. What the record lacks is left
 * out, as IPinfo does.
 * @param fields names of members; a dotted one reaches inside (`asn.name`)
 */
export function answerRow(
  input: string,
  record: Readonly<Record<string, unknown>>,
  fields: readonly string[] | undefined,
): ResultRow {
  if (fields === undefined) return { input, ...record }
  const row: Record<string, unknown> = { input }
  for (const field of fields) {
    const value = memberAt(record, field)
    if (value !== undefined) row[field] = value
  }
  // Without it, the line of an address that no network owns would look like one of which nothing is known.
  if (record['bogon'] === true) row['bogon'] = true
  return row
}

/** Of an input that has no record. */
export function errorRow(input: string, { title, message }: LineError): ResultRow {
  return { input, error: { title, message } }
}

/** NDJSON, a line for each value, each with its line end. */
export function linesOf(values: readonly unknown[]): string {
  return values.map((value) => `${JSON.stringify(value)}\n`).join('')
}

/** @param lines whole ones of NDJSON */
export function rowsIn(lines: Buffer): ResultRow[] {
  const texts = lines.toString().trimEnd().split('\n')
  return texts.map((line) => JSON.parse(line) as ResultRow)
}
