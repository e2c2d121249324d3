import { isIPv4 } from 'node:net'
import { isRecord } from '@ipfleet/core/json.ts'
import { ipv4Number } from './address-text.ts'
import { addressIn } from './chunker.ts'
import { memberAt } from './json-inputs.ts'
import type { RowWriter } from './result-format.ts'
import type { ResultRow } from './result-line.ts'

type Members = Readonly<Record<string, unknown>>

/** What is counted by its values, in the order and by the names of IPinfo's answer, and where a record has it. */
const groups: readonly (readonly [name: Group, read: (record: Members) => unknown])[] = [
  ['countries', countryOf],
  ['cities', cityOf],
  ['regions', (record) => record['region'] ?? memberAt(record, 'geo.region')],
  ['asns', asnOf],
  ['companies', (record) => memberAt(record, 'company.name')],
  [
    'ipTypes',
    (record) => memberAt(record, 'company.type') ?? memberAt(record, 'asn.type') ?? memberAt(record, 'as.type'),
  ],
  ['routes', (record) => memberAt(record, 'asn.route')],
  ['carriers', (record) => memberAt(record, 'carrier.name') ?? memberAt(record, 'mobile.name')],
  ['domains', (record) => memberAt(record, 'asn.domain') ?? record['as_domain'] ?? memberAt(record, 'as.domain')],
]

type Group = 'countries' | 'cities' | 'regions' | 'asns' | 'companies' | 'ipTypes' | 'routes' | 'carriers' | 'domains'
type Counts = Readonly<Record<string, number>>

/** What a list has in common, as IPinfo's `IPSummary` of its SDK for Go; what is most is first. */
export interface ListSummary extends Readonly<Record<Group, Counts>> {
  readonly total: number
  readonly unique: number
  readonly mobile: number
  readonly privacy: Counts
  readonly anycast: number
  readonly bogon: number
}

/** The summary of a part of a list, which can be put together with those of others: as JSON. */
export interface PartSummary extends Pick<ListSummary, 'total' | 'mobile' | 'privacy' | 'anycast' | 'bogon'> {
  /** Of each group, each value and behind it how often it is there: objects of thousands of members are slow to read. */
  readonly groups: readonly (readonly (string | number)[])[]
  /** IPv4 addresses as numbers, sorted, each as what is between it and the one before, and the others as texts. */
  readonly seen: readonly (number | string)[]
}

const privacyKinds = ['vpn', 'proxy', 'hosting', 'relay', 'tor'] as const

/**
 * Sums records up, in the shape of IPinfo's `POST /summarize?cli=1` (`IPSummary` of its SDK for Go). An address that a list
 * has twice counts twice, but for `unique`.
 */
export class IpSummary {
  readonly #seen = new Set<string | number>()
  readonly #counts = new Map<string, Map<string, number>>(groups.map(([name]) => [name, new Map()]))
  readonly #privacy = new Map<string, number>(privacyKinds.map((kind) => [kind, 0]))
  readonly #sums = { total: 0, mobile: 0, anycast: 0, bogon: 0 }

  /**
   * @param address in its canonical spelling
   * @param record undefined: there is none, and the address counts by itself
   */
  add(address: string, record: Members | undefined, times = 1): void {
    this.#sums.total += times
    // A number takes a fraction of the memory.
    this.#seen.add(isIPv4(address) ? ipv4Number(address) : address)
    if (record === undefined) return
    if (record['bogon'] === true) return void (this.#sums.bogon += times)
    for (const [name, read] of groups) count(this.#counts.get(name), read(record), times)
    for (const kind of privacyKinds) if (isPrivate(record, kind)) count(this.#privacy, kind, times)
    if (record['anycast'] === true || record['is_anycast'] === true) this.#sums.anycast += times
    if (record['is_mobile'] === true || isRecord(record['carrier']) || isRecord(record['mobile']))
      this.#sums.mobile += times
  }

  /** @param rows results; those of inputs that are no addresses do not count */
  addResults(rows: readonly ResultRow[]): void {
    for (const { input, error, ...record } of rows) {
      const address = addressIn(String(input))
      if (address !== undefined) this.add(address, error === undefined ? record : undefined)
    }
  }

  /** What another part of the list has. */
  addPart(part: PartSummary): void {
    for (const name of ['total', 'mobile', 'anycast', 'bogon'] as const) this.#sums[name] += part[name]
    for (const [at, [name]] of groups.entries()) addCounts(this.#counts.get(name), part.groups[at] ?? [])
    addCounts(this.#privacy, Object.entries(part.privacy).flat())
    let number = 0
    for (const address of part.seen) {
      if (typeof address === 'number') number += address
      this.#seen.add(typeof address === 'number' ? number : address)
    }
  }

  toPart(): PartSummary {
    const numbers = [...this.#seen]
      .filter((address) => typeof address === 'number')
      .toSorted((one, other) => one - other)
    const texts = [...this.#seen].filter((address) => typeof address === 'string')
    return {
      ...this.#sums,
      privacy: Object.fromEntries(this.#privacy),
      groups: groups.map(([name]) => [...(this.#counts.get(name) ?? [])].flat()),
      seen: [...numbers.map((number, at) => number - (numbers[at - 1] ?? 0)), ...texts],
    }
  }

  toJSON(): ListSummary {
    const counts = Object.fromEntries([...this.#counts].map(([name, values]) => [name, mostFirst(values)]))
    const { total, mobile, anycast, bogon } = this.#sums
    const privacy = Object.fromEntries(this.#privacy)
    return { total, unique: this.#seen.size, ...(counts as Record<Group, Counts>), mobile, privacy, anycast, bogon }
  }
}

/** What a table says of one address. */
export function recordFacts(record: Members): { country?: string; place?: string; network?: string } {
  const [country, network] = [countryOf(record), asnOf(record)]
  const place = cityOf(record)
  return {
    ...(typeof country === 'string' && { country }),
    ...(place !== undefined && { place }),
    ...(typeof network === 'string' && { network }),
  }
}

/** In place of results, their summary at the end. */
export function summaryWriter(): RowWriter {
  const summary = new IpSummary()
  return {
    head: '',
    rows: (rows) => {
      summary.addResults(rows as readonly ResultRow[])
      return ''
    },
    get tail() {
      return `${JSON.stringify(summary, null, 2)}\n`
    },
  }
}

function count(values: Map<string, number> | undefined, value: unknown, times: number): void {
  if (typeof value === 'string' && value !== '') values?.set(value, (values.get(value) ?? 0) + times)
}

/** @param counts each value, and behind it how often it is there */
function addCounts(values: Map<string, number> | undefined, counts: readonly (string | number)[]): void {
  for (let at = 0; at < counts.length; at += 2) count(values, counts[at], Number(counts[at + 1]))
}

/** As JSON objects are read: what is most is first. */
function mostFirst(values: ReadonlyMap<string, number>): Counts {
  return Object.fromEntries([...values].toSorted(([, one], [, other]) => other - one))
}

function countryOf(record: Members): unknown {
  return record['country_code'] ?? record['country'] ?? memberAt(record, 'geo.country_code')
}

function cityOf(record: Members): string | undefined {
  const [city, region, country] = ['city', 'region', 'country'].map(
    (name) => record[name] ?? memberAt(record, `geo.${name === 'country' ? 'country_code' : name}`),
  )
  return typeof city === 'string'
    ? [city, region, country].filter((part) => typeof part === 'string').join(', ')
    : undefined
}

/** `AS15169 Google LLC`, as `org` has it. */
function asnOf(record: Members): unknown {
  if (typeof record['org'] === 'string') return /^AS\d+/.test(record['org']) ? record['org'] : undefined
  const number = memberAt(record, 'as.asn') ?? memberAt(record, 'asn.asn') ?? record['asn']
  const name = memberAt(record, 'as.name') ?? memberAt(record, 'asn.name') ?? record['as_name']
  return typeof number === 'string' ? [number, name].filter((part) => typeof part === 'string').join(' ') : undefined
}

function isPrivate(record: Members, kind: string): boolean {
  const members = [`privacy.${kind}`, `anonymous.is_${kind}`, `is_${kind}`]
  return members.some((member) => memberAt(record, member) === true)
}
