import { Resolver } from 'node:dns/promises'
import { closeSync, openSync } from 'node:fs'
import { isIPv4, isIPv6 } from 'node:net'
import { errorCode } from '@ipfleet/core/error-code.ts'
import { looksOf } from '@ipfleet/core/file-follower.ts'
import { within } from '@ipfleet/core/within.ts'
import { choice } from '@ipfleet/settings/kinds.ts'
import { readText } from '@ipfleet/settings/sources.ts'
import { addressKind } from './address-kind.ts'
import { type LookedUp, type LookUp, systemLookUp } from './name-lookups.ts'
import { interfaceAddresses, remembered } from './own-addresses.ts'

export interface DnsLookUpOptions {
  /** Default: those of the system. */
  readonly hostsFile?: string
  readonly resolvConf?: string
  /** Each an address, perhaps with a port. Default: those of the system. */
  readonly servers?: readonly string[]
  /** What connections leave from. Default: the addresses of the system's interfaces. */
  readonly listOwn?: () => readonly string[]
  /** Monotonic; by it, the interfaces are listed again after a while. */
  readonly nowMs?: () => number
}

/** Who looks names up: Node's own resolver, or the system's with all that it can be told. */
export const resolvers = ['dns', 'system'] as const

/** RESOLVER, in every service that dials names of others. */
export const resolverSetting = choice(resolvers, {
  default: 'dns',
  help: 'Who looks names up. dns: the servers of /etc/resolv.conf are asked, and the hosts file counts; names whose servers are silent hold up no others. system: the C library, four names at a time, with all that it can be told',
})

/** @param own what connections leave from. Default: the addresses of the system's interfaces */
export function lookUpBy(resolver: (typeof resolvers)[number], own?: readonly string[]): LookUp {
  if (resolver === 'system') return systemLookUp
  return dnsLookUp(own === undefined ? {} : { listOwn: () => own })
}

/** How long one server has for one try, of which there are two. */
const tryTimeoutMs = 2000
/**
 * How long the addresses of one family wait for those of the other: the Resolution Delay (RFC 8305 §3). Those of a family
 * that no connection leaves by are of no use without the other, and wait for it as long as it takes.
 */
const resolutionDelayMs = 50
/** How long an answer is kept that may lack addresses which come later. */
const partTtlSeconds = 1

/**
 * Makes look-ups by DNS, without the four threads that Node has for the system's: names whose servers are silent hold up
 * no other. What c-ares does not read is read here, again when it changes: the hosts file, and of resolv.conf `search`
 * and `ndots`. `localhost` and `invalid` need no server (RFC 6761 §6.3, §6.4).
 */
export function dnsLookUp({
  hostsFile = '/etc/hosts',
  resolvConf = '/etc/resolv.conf',
  servers,
  listOwn = interfaceAddresses,
  nowMs = () => performance.now(),
}: DnsLookUpOptions = {}): LookUp {
  const families = remembered(() => familiesOf(listOwn()), nowMs)
  const hosts = watched(hostsFile, readHosts)
  const system = watched(resolvConf, (text) => {
    const resolver = new Resolver({ timeout: tryTimeoutMs, tries: 2 })
    if (servers) resolver.setServers(servers)
    return { resolver, ...readResolvConf(text) }
  })
  return async (name) => {
    const known = specialNames(name) ?? hosts().get(name)
    if (known) return known.map((address) => ({ address }))
    const { resolver, search, ndots } = system()
    return firstFound(candidates(name, search, ndots), async (candidate) => {
      const found = await bothFamilies(resolver, families(), candidate)
      return candidate === name ? found : found.map((one) => ({ ...one, foundAs: candidate }))
    })
  }
}

function specialNames(name: string): readonly string[] | undefined {
  if (name === 'localhost' || name.endsWith('.localhost')) return ['127.0.0.1', '::1']
  if (name === 'invalid' || name.endsWith('.invalid')) throw failure('ENOTFOUND')
  return undefined
}

/** RFC 1034 §3.1, resolv.conf(5): a name with fewer dots is first tried in each domain of the list. */
function candidates(name: string, search: readonly string[], ndots: number): readonly string[] {
  const inDomains = search.map((domain) => `${name}.${domain}`)
  return name.split('.').length - 1 >= ndots ? [name, ...inDomains] : [...inDomains, name]
}

/** What is said of a name that is not there, or that a server of this domain cannot answer for: the next may be. */
const triesNext: ReadonlySet<string | undefined> = new Set(['ENOTFOUND', 'ENODATA', 'ESERVFAIL'])

async function firstFound(
  names: readonly string[],
  ask: (name: string) => Promise<readonly LookedUp[]>,
): Promise<readonly LookedUp[]> {
  let last: unknown = failure('ENOTFOUND')
  for (const name of names) {
    try {
      return await ask(name)
    } catch (error) {
      if (!triesNext.has(errorCode(error))) throw error
      last = error
    }
  }
  throw last
}

async function bothFamilies(
  resolver: Resolver,
  { asked, usable }: Families,
  name: string,
): Promise<readonly LookedUp[]> {
  const found = new Map<Family, readonly LookedUp[]>()
  const errors: unknown[] = []
  const queries = asked.map(async (family) => {
    try {
      found.set(family, await recordsOf(resolver, family, name))
    } catch (error) {
      if (isAbsence(error)) found.set(family, [])
      errors.push(error)
      throw error
    }
  })
  const all = Promise.allSettled(queries)
  try {
    await Promise.any(queries.filter((_query, index) => usable.includes(asked[index]!))).catch(() =>
      Promise.any(queries),
    )
  } catch {
    // That there is none in one family says less than why the other one could not be asked for.
    throw errors.find((error) => !isAbsence(error)) ?? errors[0]
  }
  await within(resolutionDelayMs, all)
  const addresses = asked.flatMap((family) => found.get(family) ?? [])
  if (usable.every((family) => found.has(family))) return addresses
  return addresses.map(({ address, ttlSeconds = 0 }) => ({ address, ttlSeconds: Math.min(ttlSeconds, partTtlSeconds) }))
}

async function recordsOf(resolver: Resolver, family: Family, name: string): Promise<readonly LookedUp[]> {
  const records = await resolver[family === 4 ? 'resolve4' : 'resolve6'](name, { ttl: true }).catch(withOwnLack)
  // As Node 26 (c-ares 1.34) tells an alias whose name has no address of this family.
  if (records.length === 0) throw failure('ENODATA')
  return records.map(({ address, ttl }) => ({ address, ttlSeconds: ttl }))
}

/** c-ares 1.34 says ECONNREFUSED also where it could not open a socket, for want of descriptors. */
function withOwnLack(error: unknown): never {
  if (errorCode(error) === 'ECONNREFUSED') closeSync(openSync('/dev/null', 'r'))
  throw error
}

function isAbsence(error: unknown): boolean {
  return errorCode(error) === 'ENODATA' || errorCode(error) === 'ENOTFOUND'
}

type Family = 4 | 6

interface Families {
  /** RFC 6724: addresses that this machine has no way to are last. */
  readonly asked: readonly Family[]
  /** Those that connections leave by. */
  readonly usable: readonly Family[]
}

function familiesOf(own: readonly string[]): Families {
  const has6 = own.some((address) => isIPv6(address) && addressKind(address) === 'public')
  const has4 = own.some((address) => isIPv4(address) && addressKind(address) !== 'loopback')
  const asked: readonly Family[] = has6 ? [6, 4] : [4, 6]
  return { asked, usable: has4 === has6 ? asked : [has6 ? 6 : 4] }
}

const withoutComment = (line: string): string => line.replace(/[#;].*$/, '').trim()
const linesOf = (text: string): string[] => text.split(/\r?\n/).map(withoutComment)

/** hosts(5): the addresses of each name, in the order of the lines. */
function readHosts(text: string): ReadonlyMap<string, readonly string[]> {
  const byName = new Map<string, string[]>()
  for (const line of linesOf(text)) {
    const [address = '', ...names] = line.split(/\s+/)
    for (const name of names) byName.set(name.toLowerCase(), [...(byName.get(name.toLowerCase()) ?? []), address])
  }
  return byName
}

/** resolv.conf(5). The last of its `search` and `domain` lines counts. */
function readResolvConf(text: string): { readonly search: readonly string[]; readonly ndots: number } {
  let search: readonly string[] = []
  let ndots = 1
  for (const line of linesOf(text)) {
    const [keyword, ...values] = line.split(/\s+/)
    if (keyword === 'search' || keyword === 'domain') search = values.filter((value) => value !== '.')
    if (keyword === 'options') ndots = Number(/(?:^|\s)ndots:(\d+)/.exec(line)?.[1] ?? ndots)
  }
  return { search: search.map((domain) => domain.toLowerCase().replace(/\.$/, '')), ndots }
}

const lookEveryMs = 1000

/** What is made of a file, made anew within a second of a change. A file that is not there is empty. */
function watched<Value>(path: string, read: (text: string) => Value): () => Value {
  let lookedMs = -Infinity
  let looks: string | undefined
  let value = read('')
  return () => {
    if (performance.now() - lookedMs < lookEveryMs) return value
    lookedMs = performance.now()
    const looksNow = looksOf(path)
    if (looksNow === looks) return value
    looks = looksNow
    const file = readText(path)
    value = read(file.kind === 'text' ? file.text : '')
    return value
  }
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code })
}
