/** What a JSON value gives as an input: a string itself, an object's member `column`; undefined for all else. */
export function jsonInput(value: unknown, column: string): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, column)) return undefined
  const member: unknown = Object.getOwnPropertyDescriptor(value, column)?.value
  return typeof member === 'string' ? member : undefined
}
