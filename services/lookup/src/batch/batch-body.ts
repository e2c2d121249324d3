import type { Answer } from '@ipfleet/cache/entry.ts'

/** What stands in a batch's answer for one of its items: JSON, laid out as the object's member. */
export interface BatchValue {
  readonly json: string
  /** `""`, `{}` or `[]`: left out when the client asks for that (`?filter=1`). */
  readonly isEmpty: boolean
}

/** A record or an error as it is, a field without its newline as a string. */
export function batchValue({ contentType, body }: Answer): BatchValue {
  const text = body.toString('utf8')
  const json = contentType.includes('json') ? text.trim() : JSON.stringify(text.replace(/\r?\n$/, ''))
  return { json: json.replaceAll('\n', '\n  '), isEmpty: json === '""' || json === '{}' || json === '[]' }
}

/**
 * The object of a batch, byte for byte as IPinfo writes it. Made as text: an object would move keys that look like
 * numbers to the front, and takes `__proto__` for something else.
 */
export function batchBody(values: Iterable<readonly [item: string, BatchValue]>): Buffer {
  const members = Array.from(values, ([item, { json }]) => `  ${JSON.stringify(item)}: ${json}`)
  return Buffer.from(members.length === 0 ? '{}' : `{\n${members.join(',\n')}\n}`)
}

/**
 * The answer that a single question would have had, out of its value in a batch's answer: a record moves to the left,
 * a field gets its newline back, an error its status (which upstream does not always repeat).
 * @param raw the value's text
 */
export function singleAnswer(raw: string): Answer {
  if (raw.startsWith('{') || raw.startsWith('[')) {
    const text = raw.includes('\n') || raw.length === 2 ? raw.replaceAll('\n  ', '\n') : reformatted(raw)
    return { status: embeddedStatus(raw), contentType: 'application/json; charset=utf-8', body: Buffer.from(text) }
  }
  const value = raw.startsWith('"') ? (JSON.parse(raw) as string) : raw === 'null' ? '' : raw
  return { status: 200, contentType: 'text/plain; charset=utf-8', body: Buffer.from(`${value}\n`) }
}

/** 200 for anything but an error; for an error the status of the same error as an answer of its own. */
export function embeddedStatus(raw: string): number {
  if (!raw.includes('"error"') && !raw.includes('"title"')) return 200
  const { status, error, title } = JSON.parse(raw) as Record<string, unknown>
  if (typeof status === 'number' && error !== undefined) return status
  // The forms that do not tell their status: `{"error":"ASN Not Found!"}`, `{"title":"Wrong module or field type",…}`.
  if (typeof error === 'string') return /not found/i.test(error) ? 404 : 400
  return typeof title === 'string' && /^(wrong|invalid|bad) /i.test(title) ? 400 : 200
}

/** From an upstream that leaves the white space out. */
const reformatted = (raw: string): string => JSON.stringify(JSON.parse(raw), null, 2)
