import { isIPv6 } from 'node:net'
import type { UpstreamTarget } from '@ipfleet/proxy/http1/exchange-types.ts'
import type { BackendConfig } from '../config/edge-config.ts'
import { canonicalAddress } from './canonical-address.ts'

/** A place in a group that one member fills. */
export interface Seat {
  /** `10.0.0.3:8080`, `[fd00::3]:8080`. */
  readonly id: string
  readonly target: UpstreamTarget
  /** `name:port` as configured, without the protocol's own port. */
  readonly authority: string
  /** The name that its address was found under; undefined for a backend that is an address. */
  readonly hostname: string | undefined
  readonly weight: number
}

/** The names among the hosts of backends; an address is never looked up. */
export function namesOf(backends: readonly BackendConfig[]): readonly string[] {
  return backends.map(({ hostname }) => hostname).filter((hostname) => canonicalAddress(hostname) === undefined)
}

/**
 * One seat for each address of each backend, each with the backend's weight, in the order of the backends. Where two
 * backends lead to one address and port, there is one seat, the first's: it is one server, with one id.
 */
export function seatsOf(
  backends: readonly BackendConfig[],
  addressesOf: (hostname: string) => readonly string[],
): readonly Seat[] {
  const seats = new Map<string, Seat>()
  for (const backend of backends) {
    const literal = canonicalAddress(backend.hostname)
    for (const address of literal === undefined ? addressesOf(backend.hostname) : [literal]) {
      const seat = seatOf(backend, address, literal === undefined ? backend.hostname : undefined)
      if (!seats.has(seat.id)) seats.set(seat.id, seat)
    }
  }
  return [...seats.values()]
}

/** Whether the member of one seat can go on in the other: same connections, same Host. */
export function isSameSeat(one: Seat, other: Seat): boolean {
  return (
    one.id === other.id &&
    one.authority === other.authority &&
    one.hostname === other.hostname &&
    one.target.tls?.servername === other.target.tls?.servername
  )
}

function seatOf(backend: BackendConfig, address: string, hostname: string | undefined): Seat {
  const { protocol, port, weight } = backend
  const tls = protocol === 'https:' ? { servername: backend.hostname } : undefined
  const isOwnPort = port === (protocol === 'https:' ? 443 : 80)
  const host = bracketed(backend.hostname)
  return {
    id: `${bracketed(address)}:${port}`,
    target: { address, port, tls },
    authority: isOwnPort ? host : `${host}:${port}`,
    hostname,
    weight,
  }
}

function bracketed(host: string): string {
  return isIPv6(host) ? `[${host}]` : host
}
