import { afterName, afterSpace, afterString, afterValue } from './json-text.ts'

/** Where a value stands in a text, in bytes. */
export interface Span {
  readonly start: number
  /** Behind its last byte. */
  readonly end: number
}

/**
 * The members of a JSON object, each with the place of its value: as it stands there, numbers keep their digits and
 * objects the order of their keys, which `JSON.parse` would not keep. Undefined for anything but one object of valid
 * JSON.
 */
export function jsonMembers(bytes: Buffer): Map<string, Span> | undefined {
  let at = afterSpace(bytes, 0)
  if (bytes[at] !== 0x7b) return undefined
  const members = new Map<string, Span>()
  at = afterSpace(bytes, at + 1)
  if (bytes[at] === 0x7d) return afterSpace(bytes, at + 1) === bytes.length ? members : undefined
  for (;;) {
    const start = afterName(bytes, at)
    const end = start === -1 ? -1 : afterValue(bytes, start)
    if (end === -1) return undefined
    members.set(stringAt(bytes, at), { start, end })
    at = afterSpace(bytes, end)
    if (bytes[at] === 0x7d) return afterSpace(bytes, at + 1) === bytes.length ? members : undefined
    if (bytes[at] !== 0x2c) return undefined
    at = afterSpace(bytes, at + 1)
  }
}

/** A string of valid JSON. */
function stringAt(bytes: Buffer, start: number): string {
  const end = afterString(bytes, start)
  const text = bytes.toString('utf8', start + 1, end - 1)
  return text.includes('\\') ? (JSON.parse(`"${text}"`) as string) : text
}
