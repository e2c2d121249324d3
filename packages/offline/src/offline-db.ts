import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { errorCode } from '@ipfleet/core/error-code.ts'
import { UnusableArchive } from './database-bytes.ts'
import { merged } from './facts.ts'
import { type Mmdb, mmdbIn, UselessDatabase } from './mmdb.ts'
import { type OfflineRecord, recordIn, type RecordShape } from './offline-record.ts'

/** One or several open databases that answer as one. It never changes: a newer file is opened as another one. */
export interface OfflineDb {
  /** As the files name themselves: `country ipvAll + asn`. */
  readonly type: string
  /** The oldest of them. */
  readonly builtAt: Date
  /** What is known of a canonical address, as a record of that shape; `undefined` if nothing is. */
  record(shape: RecordShape, address: string): OfflineRecord | undefined
}

/**
 * The databases that come with the program. Together they take about 20 MB outside of the JavaScript heap.
 * @param further what has details; of a place, where it names the same country
 */
export function bundledOfflineDb(further: readonly Mmdb[] = []): OfflineDb {
  return offlineDbOf([...bundledFiles().map((path) => openMmdb(path)), ...further])
}

/** What is written where the bundled data are used: their licence (CC BY 4.0) asks for it. */
export const attribution =
  'Countries by NRO (https://www.nro.net) and DB-IP (https://db-ip.com), AS numbers and names by RouteViews ' +
  '(https://www.routeviews.org), NRO and DB-IP, all CC BY 4.0, as packaged by ip-location-db and changed in form.'

/**
 * Reads the whole file into memory, outside of the JavaScript heap. Mapping it would be cheaper for large ones, but Node
 * cannot.
 * @throws Error that names the file if it cannot be read, is no MMDB, or has nothing that is needed
 */
export function openMmdb(path: string): Mmdb {
  try {
    return mmdbIn(readFileSync(path))
  } catch (error) {
    throw faultOf(path, error)
  }
}

/** The same without blocking the process while the file is read. */
export async function readMmdb(path: string): Promise<Mmdb> {
  try {
    return mmdbIn(await readFile(path))
  } catch (error) {
    throw faultOf(path, error)
  }
}

/** @param databases at least one; where several know a fact, the first of them tells it */
export function offlineDbOf(databases: readonly Mmdb[]): OfflineDb {
  const builtMs = Math.min(...databases.map(({ builtAt }) => builtAt.getTime()))
  return Object.freeze({
    type: databases.map(({ type }) => type).join(' + '),
    builtAt: new Date(builtMs),
    record: (shape: RecordShape, address: string) => {
      const facts = databases.map((database) => database.facts(address)).reduce(merged, undefined)
      return facts && recordIn(shape, address, facts)
    },
  })
}

function faultOf(path: string, cause: unknown): Error {
  return new Error(`The offline database ${path} ${reasonOf(cause)}`, { cause })
}

function reasonOf(cause: unknown): string {
  if (cause instanceof UselessDatabase || cause instanceof UnusableArchive) return cause.message
  // Errors of reading beyond the end of a buffer have a code too, but come from no system call.
  const isOfFile = typeof cause === 'object' && cause !== null && 'syscall' in cause
  return `cannot be read${isOfFile ? ` (${errorCode(cause)})` : ': it is no whole MMDB'}`
}

/** Those in the folder are made by `npm run offline-data`; the second has what the first does not know. */
const bundledFiles = (): readonly string[] => [
  fileURLToPath(import.meta.resolve('@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb')),
  ...['country-gaps', 'asn'].map((name) => fileURLToPath(new URL(`../data/${name}.mmdb`, import.meta.url))),
]
