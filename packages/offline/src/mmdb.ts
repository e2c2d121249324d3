import { isRecord } from '@ipfleet/core/json.ts'
import { Reader, type Response } from 'mmdb-lib'
import { databaseBytes } from './database-bytes.ts'
import { type Facts, factsOf } from './facts.ts'

/** One open MMDB of any maker. It never changes, and needs no closing. */
export interface Mmdb {
  /** As the file names it: `ipinfo lite`, `GeoLite2-City`. */
  readonly type: string
  readonly builtAt: Date
  /** What it knows of a canonical address. */
  facts(address: string): Facts | undefined
  /** How many of its first bits an IPv6 address shares with all others that have its record, or none like it. */
  prefixLength(address: string): number
}

/** The file can be read, and holds nothing that is needed. */
export class UselessDatabase extends Error {}

/**
 * @param file as it was downloaded, packed or not. It is kept as it is: the bundled databases together have 20 MB
 * @throws UselessDatabase, UnusableArchive, and what the reader throws for what is no whole MMDB
 */
export function mmdbIn(file: Buffer): Mmdb {
  const reader: MmdbReader = new Reader(databaseBytes(file))
  requireUseful(reader)
  return Object.freeze({
    type: reader.metadata.databaseType,
    builtAt: reader.metadata.buildEpoch,
    prefixLength: (address: string) => reader.getWithPrefixLength(address)[1],
    facts: (address: string) => {
      try {
        return factsFrom(reader, address)
      } catch {
        // The address is at a damaged place of an otherwise good file.
        return undefined
      }
    },
  })
}

type MmdbReader = Reader<Response>

function factsFrom(reader: MmdbReader, address: string): Facts | undefined {
  const found = recordOf(reader, address)
  return found && factsOf(found)
}

function recordOf(reader: MmdbReader, address: string): Readonly<Record<string, unknown>> | undefined {
  const isIpv6 = address.includes(':')
  // mmdb-lib 3.0.3 would walk an IPv4-only tree with the bits of an IPv6 address and find another address's record.
  if (reader.metadata.ipVersion === 4 && isIpv6) return undefined
  let found: unknown = reader.get(address)
  // Some writers place IPv4 networks below ::ffff:0:0/96 alone, and not below 96 zeros.
  if (!found && !isIpv6 && reader.metadata.ipVersion === 6) found = reader.get(`::ffff:${address}`)
  return isRecord(found) ? found : undefined
}

/** Databases of the whole Internet contain these, whatever the edition. */
const wellKnownAddresses = ['8.8.8.8', '1.1.1.1', '2001:4860:4860::8888']

/**
 * A file that was cut off lacks the metadata, which are at its end. One that has lost its middle, or that a newer one has
 * overwritten in part, is recognised by samples: their pointers lead nowhere.
 * @returns whether any of them tells something. @throws what the reader throws
 */
function hasSamples(reader: MmdbReader): boolean {
  const addresses = [...wellKnownAddresses]
  for (let network = 1; network < 224; network += 1) addresses.push(`${network}.${(network * 89) % 256}.1.1`)
  for (let network = 0; network < 256; network += 1) {
    addresses.push(`2${network.toString(16).padStart(3, '0')}:db8::1`)
  }
  // All of them, since any may be at the damaged place.
  return addresses.filter((address) => factsFrom(reader, address) !== undefined).length > 0
}

/**
 * A database of another kind (domains, users) would answer nothing, without an error. One that has none of the sampled
 * addresses is accepted.
 */
function requireUseful(reader: MmdbReader): void {
  if (hasSamples(reader)) return
  for (const address of wellKnownAddresses) {
    const found = recordOf(reader, address)
    if (found === undefined) continue
    const fields = Object.keys(found).join(', ')
    throw new UselessDatabase(
      `(${reader.metadata.databaseType}) has nothing about countries, networks, companies, carriers or privacy, only: ${fields}`,
    )
  }
}
