import type { Address } from './address.ts'
import { type Carrier, type Operator, operators, type Place, places } from './gazetteer.ts'

/** All that the fake knows of one address, before any surface has given it a shape. */
export interface Subject {
  readonly ip: string
  readonly network: string
  readonly place: Place
  readonly operator: Operator
  readonly isAnycast: boolean
  /** The operator's mobile network, where the address is one of its phones. */
  readonly carrier?: Carrier
  readonly hostname?: string
  /** The VPN, proxy or relay service that uses the address. */
  readonly service?: string
  /** The residential proxy service that was seen at the address. */
  readonly residentialProxy?: string
  /** For what else a surface wants to vary by address: 32 bits. */
  readonly dice: number
}

const services = ['NordVPN', 'Mullvad', 'Ping Proxies', 'Google One VPN']

// The two whose records are widely known are given as IPinfo gives them (ipinfo.io/8.8.8.8, 1.1.1.1).
const known: Readonly<Record<string, { place: number; operator: number; hostname: string }>> = {
  '8.8.8.8': { place: 0, operator: 0, hostname: 'dns.google' },
  '1.1.1.1': { place: 1, operator: 1, hostname: 'one.one.one.one' },
}

/** The subject of an address that is not a bogon: always the same for the same address. */
export function subjectOf(address: Address): Subject {
  const fixed = known[address.text]
  if (fixed !== undefined) return wellKnown(address, fixed)
  const network = hash(address.network)
  const dice = hash(address.text)
  const operator = pick(operators, network)
  const isMobile = operator.mobile !== undefined && network % 3 !== 0
  const service = dice % 11 === 0 ? pick(services, dice >>> 8) : undefined
  const hasHostname = dice % 4 !== 0
  return {
    ip: address.text,
    network: address.network,
    place: pick(places, network >>> 8),
    operator,
    ...(isMobile && { carrier: operator.mobile }),
    isAnycast: operator.type === 'hosting' && network % 5 === 0,
    ...(hasHostname && { hostname: `${address.text.replaceAll(/[.:]+/g, '-')}.${operator.domain}` }),
    ...(service !== undefined && { service }),
    ...(operator.type === 'isp' && dice % 13 === 0 && { residentialProxy: 'ipfoxy' }),
    dice,
  }
}

function wellKnown(address: Address, fixed: { place: number; operator: number; hostname: string }): Subject {
  return {
    ip: address.text,
    network: address.network,
    place: pick(places, fixed.place),
    operator: pick(operators, fixed.operator),
    isAnycast: true,
    hostname: fixed.hostname,
    dice: 1,
  }
}

/** The list's member that `dice` falls on. The list is not empty. */
export function pick<T>(list: readonly T[], dice: number): T {
  const picked = list[dice % list.length]
  if (picked === undefined) throw new RangeError('nothing to pick from')
  return picked
}

/** FNV-1a over the text's UTF-16 units with the finaliser of MurmurHash3: unsigned, 32 bits. */
export function hash(text: string): number {
  let state = 0x811c9dc5
  for (let at = 0; at < text.length; at += 1) state = Math.imul(state ^ text.charCodeAt(at), 0x01000193)
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b)
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35)
  return (state ^ (state >>> 16)) >>> 0
}
