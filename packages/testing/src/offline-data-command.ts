/**
 * `npm run offline-data`: makes the files in packages/offline/data of packages on npm that hold text only. Their versions
 * are below; after a change of one, commit what this writes. It takes about two minutes and 3 GB of memory.
 */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type AddressRange, differenceOf, networksIn } from './address-ranges.ts'
import { type MmdbValue, tinyMmdb } from './tiny-mmdb.ts'

const networks = '@ip-location-db/asn@2.3.2026061719'
/** What was known of the IPv6 networks that the routing tables of the other version lack. */
const earlierNetworks = '@ip-location-db/asn@2.3.2025041118'
/** The version of the bundled MMDB of the same name. */
const countries = '@ip-location-db/geo-whois-asn-country@2.3.2026061719'
const furtherCountries = '@ip-location-db/dbip-country@2.3.2026060120'

const folder = fileURLToPath(new URL('../../offline/data/', import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), 'offline-data-'))

const country = ([code = '']: readonly string[]): MmdbValue => ({ country_code: code })

interface Row extends AddressRange {
  readonly record: MmdbValue
}

function networkRanges(spec: string, family: string): Row[] {
  return rowsOf(spec, `asn-${family}-num.csv`, ([asn = '', name = '']) => ({ asn: `AS${asn}`, as_name: name }))
}

function networksWithGapsFilled(): Row[] {
  const known = networkRanges(networks, 'ipv6')
  const gaps = differenceOf(networkRanges(earlierNetworks, 'ipv6'), known)
  return [...networkRanges(networks, 'ipv4'), ...known, ...gaps]
}

/** What DB-IP knows of addresses of which the bundled database of countries knows nothing. */
function countryGaps(family: string): Row[] {
  const known = rowsOf(countries, `geo-whois-asn-country-${family}-num.csv`, country)
  return differenceOf(rowsOf(furtherCountries, `dbip-country-${family}-num.csv`, country), known)
}

/** Of a CSV without a header: the first and the last address of a range as numbers, and what is known of it. */
function rowsOf(spec: string, file: string, recordOf: (cells: readonly string[]) => MmdbValue): Row[] {
  const isIpv6 = file.includes('ipv6')
  const lines = readFileSync(join(unpacked(spec), file), 'utf8')
    .trimEnd()
    .split('\n')
  return lines.map((line) => {
    const [first = '', last = '', ...cells] = [...line.trimEnd().matchAll(/"((?:[^"]|"")*)"|([^",]+)/g)].map(
      ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
    )
    return { first: BigInt(first), last: BigInt(last), isIpv6, record: recordOf(cells) }
  })
}

/** The folder of a package of npm, which is fetched once. */
function unpacked(spec: string): string {
  const place = join(scratch, spec.replaceAll(/\W/g, '-'))
  if (statSync(place, { throwIfNoEntry: false }) === undefined) {
    execFileSync('mkdir', [place])
    const [archive = ''] = execFileSync('npm', ['pack', '--silent', spec], { cwd: place, encoding: 'utf8' }).split('\n')
    execFileSync('tar', ['-xzf', archive], { cwd: place })
  }
  return join(place, 'package')
}

/** The date of the data is in the version: `2.3.2026061719` is of 2026-06-17, 19 h. */
function builtAt(spec: string): number {
  const [, year = '', month = '', day = ''] = /(\d{4})(\d\d)(\d\d)\d\d$/.exec(spec) ?? []
  return Date.UTC(Number(year), Number(month) - 1, Number(day)) / 1000
}

function write(type: string, spec: string, rows: readonly Row[]): void {
  const records = rows.flatMap((row) => networksIn(row).map((network) => [network, row.record] as const))
  const bytes = tinyMmdb({ ipVersion: 6, type, records, recordSize: 24, buildEpoch: builtAt(spec) })
  writeFileSync(`${folder}${type}.mmdb`, bytes)
  process.stdout.write(`${type}: ${records.length} networks, ${bytes.length} bytes\n`)
}

try {
  write('asn', networks, networksWithGapsFilled())
  write('country-gaps', furtherCountries, ['ipv4', 'ipv6'].flatMap(countryGaps))
} finally {
  rmSync(scratch, { recursive: true })
}
