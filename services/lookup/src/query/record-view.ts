import type { Answer } from '@ipfleet/cache/entry.ts'

/** Fields of the legacy record that are answered as one line of text. */
export const textFields: ReadonlySet<string> = new Set(
  'ip hostname city region country loc postal timezone org'.split(' '),
)
/** The fields of `/{ip}/geo`. */
const geoFields: ReadonlySet<string> = new Set('ip city region country loc postal timezone bogon'.split(' '))

/** A part of a record that has a path of its own. */
export type View =
  | { readonly kind: 'geo' }
  /** `absentIsEmpty`: the record holds all that is known, so that a missing field is an empty line. */
  | { readonly kind: 'field'; readonly path: readonly string[]; readonly absentIsEmpty: boolean }

/**
 * What a record says to a query about a part of it; what is not a record (an error, the empty string of a batch for one
 * that is missing) is the answer to every part. Undefined when the record cannot tell for certain, and upstream has to
 * be asked.
 */
export function viewOf(record: Answer, view: View): Answer | undefined {
  if (record.status !== 200 || !record.contentType.includes('json')) return record
  const fields = JSON.parse(record.body.toString('utf8')) as Record<string, unknown>
  if (view.kind === 'geo') return jsonAnswer(pick(fields, geoFields))
  const value = view.path.reduce<unknown>(memberOf, fields)
  if (value === undefined) return view.absentIsEmpty ? fieldAnswer('') : undefined
  return isObject(value) ? jsonAnswer(value) : fieldAnswer(typeof value === 'string' ? value : JSON.stringify(value))
}

function memberOf(value: unknown, name: string): unknown {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function pick(fields: Record<string, unknown>, names: ReadonlySet<string>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => names.has(name)))
}

/** JSON, indented by two spaces. */
export function jsonAnswer(value: object): Answer {
  return answer('application/json; charset=utf-8', JSON.stringify(value, null, 2))
}

/** A field: its value and a newline. */
export function fieldAnswer(value: string): Answer {
  return answer('text/plain; charset=utf-8', `${value}\n`)
}

function answer(contentType: string, body: string): Answer {
  return { status: 200, contentType, body: Buffer.from(body) }
}
