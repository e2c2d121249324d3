import type { ConfigKeys } from './config-key.ts'
import {
  accessKeys,
  configTables,
  ejectionKeys,
  groupKeys,
  healthKeys,
  metricsKeys,
  rateLimitKeys,
  retryKeys,
  routeKeys,
  serverKeys,
  tlsKeys,
  upstreamsKeys,
} from './config-tables.ts'
import { faultAt, type Given, type GivenTable, refused } from './given.ts'
import { type Found, type Reading, readTable, unknownKey } from './read-table.ts'

/** A table as it was given (undefined: it is not there) and what was read from it. */
export interface Section<Keys extends ConfigKeys> {
  readonly given: GivenTable | undefined
  readonly values: Found<Keys>
}

export type GroupSection = Section<typeof groupKeys> & { readonly name: string }

/** Every table of the file. What is wrong with one by itself goes to the faults of `reading`. */
export function findTables(root: GivenTable, reading: Reading) {
  refuseUnknown(root, reading)
  return {
    server: section(serverKeys, tableAt(root, 'server', reading), reading),
    tls: sectionIfGiven(tlsKeys, tableAt(root, 'tls', reading), reading),
    groups: [
      { name: 'default', ...section(upstreamsKeys, tableAt(root, 'upstreams', reading), reading) },
      ...groupSections(root, reading),
    ],
    routes: routeSections(root.entries.get('routes'), reading),
    health: section(healthKeys, tableAt(root, 'health', reading), reading),
    ejection: section(ejectionKeys, tableAt(root, 'ejection', reading), reading),
    retry: section(retryKeys, tableAt(root, 'retry', reading), reading),
    rateLimit: sectionIfGiven(rateLimitKeys, tableAt(root, 'rate_limit', reading), reading),
    access: section(accessKeys, tableAt(root, 'access', reading), reading),
    metrics: section(metricsKeys, tableAt(root, 'metrics', reading), reading),
  }
}

export type FoundTables = ReturnType<typeof findTables>

function section<Keys extends ConfigKeys>(keys: Keys, given: GivenTable | undefined, reading: Reading): Section<Keys> {
  return { given, values: readTable(keys, given, reading) }
}

function sectionIfGiven<Keys extends ConfigKeys>(keys: Keys, given: GivenTable | undefined, reading: Reading) {
  return given && section(keys, given, reading)
}

function tableAt(root: GivenTable, name: string, reading: Reading): GivenTable | undefined {
  return asTable(root.entries.get(name), `a table, [${name}]`, reading)
}

function asTable(given: Given | undefined, allowed: string, { faults }: Reading): GivenTable | undefined {
  if (given === undefined || given.kind === 'table') return given
  faults.push(...refused(given, allowed).faults)
  return undefined
}

const groupName = /^[a-z0-9-]{1,64}$/

function groupSections(root: GivenTable, reading: Reading): readonly GroupSection[] {
  const groups = [...(tableAt(root, 'groups', reading)?.entries ?? [])]
  return groups.flatMap(([name, given]) => {
    if (name === 'default') reading.faults.push(faultAt(given, 'the group of this name is [upstreams]'))
    else if (!groupName.test(name)) {
      reading.faults.push(faultAt(given, 'a name of a group is 1 to 64 of a to z, 0 to 9 and -'))
    }
    const table = asTable(given, `a table, [${given.name}]`, reading)
    return table ? [{ name, ...section(groupKeys, table, reading) }] : []
  })
}

function routeSections(given: Given | undefined, reading: Reading): readonly Section<typeof routeKeys>[] {
  if (given === undefined) return []
  if (given.kind !== 'list') {
    reading.faults.push(...refused(given, 'tables, each [[routes]]').faults)
    return []
  }
  const tables = given.items.map((item) => asTable(item, 'a table, [[routes]]', reading))
  return tables.filter((table) => table !== undefined).map((table) => section(routeKeys, table, reading))
}

function refuseUnknown(root: GivenTable, { faults }: Reading): void {
  const names = configTables.map(({ name }) => name)
  for (const [name, given] of root.entries) {
    if (!names.includes(name)) faults.push(unknownKey(name, given, names, homesOf(name)))
  }
}

/** Above the first table line, a key is in no table. */
function homesOf(key: string): string {
  const homes = configTables.filter(({ keys }) => Object.hasOwn(keys, key)).map(({ title }) => title)
  return homes.length > 0 ? ` outside of a table; it belongs below ${homes.join(' or ')}` : ''
}
