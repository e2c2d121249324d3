/** Field names and values in turns, as they stand on the wire: `['Host', 'a', 'Accept', '*∕*']`. */
export type RawFields = readonly string[]

export function pairsOf(fields: RawFields): [name: string, value: string][] {
  const pairs: [string, string][] = []
  for (let index = 0; index + 1 < fields.length; index += 2) pairs.push([fields[index] ?? '', fields[index + 1] ?? ''])
  return pairs
}

/** Field lines, each with its CRLF. */
export function linesOf(fields: RawFields): string {
  return pairsOf(fields)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')
}

/** The fields that `keep` accepts. */
export function fieldsWhere(fields: RawFields, keep: (name: string, value: string) => boolean): string[] {
  return pairsOf(fields)
    .filter(([name, value]) => keep(name, value))
    .flat()
}
