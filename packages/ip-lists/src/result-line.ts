/** What a result line says instead of a record. `code` is for counting; clients see title and message. */
export interface LineError {
  readonly code: string
  readonly title: string
  readonly message: string
}

/**
 * One line of NDJSON with its line end: the input as it was given, then the record's members, or only the wanted ones and
 * `bogon`.
 * @param fields names of members; a dotted one reaches inside (`asn.name`)
 */
export function answerLine(
  input: string,
  record: Readonly<Record<string, unknown>>,
  fields: readonly string[] | undefined,
): string {
  if (fields === undefined) return `${JSON.stringify({ input, ...record })}\n`
  // Without it, the line of an address that no network owns would look like one of which nothing is known.
  const bogon = record['bogon'] === true ? { bogon: true } : {}
  return `${JSON.stringify({ input, ...wanted(record, fields), ...bogon })}\n`
}

/** The line of an input that has no record. */
export function errorLine(input: string, { title, message }: LineError): string {
  return `${JSON.stringify({ input, error: { title, message } })}\n`
}

/** What the record lacks is left out, as IPinfo does. */
function wanted(record: Readonly<Record<string, unknown>>, fields: readonly string[]): Record<string, unknown> {
  const picked: Record<string, unknown> = {}
  for (const field of fields) {
    const value = memberAt(record, field)
    if (value !== undefined) picked[field] = value
  }
  return picked
}

function memberAt(record: Readonly<Record<string, unknown>>, field: string): unknown {
  if (Object.hasOwn(record, field)) return record[field]
  let value: unknown = record
  for (const name of field.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}
