/** Field names and values in turns, as they stand on the wire: `['Host', 'a', 'Accept', '*∕*']`. */
export type RawFields = readonly string[]

/**
 * What a field value must not hold where one is written (RFC 9110 §5.5): what would end the line, or become something
 * that does when it is written as Latin-1.
 */
export const noFieldValue = /[^\t\x20-\x7e\x80-\xff]/

export function pairsOf(fields: RawFields): [name: string, value: string][] {
  const pairs: [string, string][] = []
  for (let index = 0; index + 1 < fields.length; index += 2) pairs.push([fields[index] ?? '', fields[index + 1] ?? ''])
  return pairs
}

/** Whether a field has this name. The length rules out nearly every other one before anything is lower-cased. */
export function isNamed(name: string, lowerCase: string): boolean {
  return name.length === lowerCase.length && name.toLowerCase() === lowerCase
}

/** Of the first field of this name (in lower case) from an index on; -1: there is none. */
export function indexOfName(fields: RawFields, lowerCase: string, from = 0): number {
  for (let index = from; index < fields.length; index += 2) if (isNamed(fields[index] ?? '', lowerCase)) return index
  return -1
}

/** The first value of a field, by its name in lower case. */
export function fieldOf(fields: RawFields, lowerCase: string): string | undefined {
  const index = indexOfName(fields, lowerCase)
  return index < 0 ? undefined : fields[index + 1]
}

/** Field lines, each with its CRLF. */
export function linesOf(fields: RawFields): string {
  return pairsOf(fields)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')
}

export function fieldsWhere(fields: RawFields, keep: (name: string, value: string) => boolean): string[] {
  return pairsOf(fields)
    .filter(([name, value]) => keep(name, value))
    .flat()
}
