import { nearName } from '@ipfleet/settings/near-name.ts'
import type { ConfigKey, ConfigKeys, ValuesOf } from './config-key.ts'
import { faultAt, type ConfigFault, type Given, type GivenTable } from './given.ts'

/** The values of a table; those with a fault are missing. */
export type Found<Keys extends ConfigKeys> = Partial<ValuesOf<Keys>>

/** What the reading of tables shares: the faults so far, and where relative paths begin. */
export interface Reading {
  readonly faults: ConfigFault[]
  readonly directory: string
}

/** Reads a table key by key. Of one that is not there, every key has its default. */
export function readTable<Keys extends ConfigKeys>(
  keys: Keys,
  table: GivenTable | undefined,
  reading: Reading,
): Found<Keys> {
  const known = Object.keys(keys)
  for (const [name, given] of table?.entries ?? []) {
    if (!known.includes(name)) reading.faults.push(unknownKey(name, given, known))
  }
  const values = Object.entries(keys).map(([name, key]) => [name, readKey(name, key, table, reading)] as const)
  // The names are those of `keys`, each value read by its own key; the compiler cannot see that of entries.
  return Object.fromEntries(values.filter(([, value]) => value !== undefined)) as Found<Keys>
}

/** The value, or undefined when there is a fault, or none and no default. */
function readKey(name: string, key: ConfigKey<unknown>, table: GivenTable | undefined, reading: Reading): unknown {
  const given = table?.entries.get(name)
  if (given) {
    const outcome = key.kind.read(given, reading.directory)
    if (outcome.kind === 'value') return outcome.value
    reading.faults.push(...outcome.faults)
  } else if (key.presence.kind !== 'required') {
    return key.presence.value
  } else if (table) {
    reading.faults.push(faultAt(table, `${name} is required; ${key.kind.allowed}`))
  }
  return undefined
}

/** `more` is put to a key that looks like none of the known. */
export function unknownKey(name: string, given: Given, known: readonly string[], more = ''): ConfigFault {
  const meant = nearName(name, known)
  return faultAt(given, `is not known${meant === undefined ? more : `; did you mean ${meant}?`}`)
}
