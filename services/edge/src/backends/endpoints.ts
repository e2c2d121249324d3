import { isIP, isIPv6 } from 'node:net'
import { canonicalAddress as canonical } from '@ipfleet/net/canonical-address.ts'
import type { UpstreamTarget } from '@ipfleet/proxy/http1/exchange-types.ts'
import type { BackendConfig } from '../config/edge-config.ts'

/** One address and port of a configured backend. A backend that is a name has as many as the name has addresses. */
export interface Endpoint {
  /** `10.0.0.3:8080`, `[fd00::3]:8080`: what `X-Backend` says. Also a label of metrics. */
  readonly id: string
  readonly target: UpstreamTarget
  /** `name:port` as configured, without the protocol's own port: what Host says with `host = "backend"`. */
  readonly authority: string
  /** The name that its address was found under; undefined for a backend that is an address. */
  readonly hostname: string | undefined
  readonly weight: number
}

/** An address with a zone (`fe80::1%eth0`) stays as it is, because this machine dials it. */
export function canonicalAddress(text: string): string | undefined {
  return text.includes('%') && isIP(text) > 0 ? text : canonical(text)
}

/** The names among the hosts of backends; an address is never looked up. */
export function namesOf(backends: readonly BackendConfig[]): readonly string[] {
  return backends.map(({ hostname }) => hostname).filter((hostname) => canonicalAddress(hostname) === undefined)
}

/**
 * The addresses of all backends, each with its backend's weight, in the order of the backends. Where two backends lead
 * to one address and port, there is one endpoint, the first's: it is one server, with one id.
 */
export function endpointsOf(
  backends: readonly BackendConfig[],
  addressesOf: (hostname: string) => readonly string[],
): readonly Endpoint[] {
  const endpoints = new Map<string, Endpoint>()
  for (const backend of backends) {
    const literal = canonicalAddress(backend.hostname)
    for (const address of literal === undefined ? addressesOf(backend.hostname) : [literal]) {
      const endpoint = endpointOf(backend, address, literal === undefined ? backend.hostname : undefined)
      if (!endpoints.has(endpoint.id)) endpoints.set(endpoint.id, endpoint)
    }
  }
  return [...endpoints.values()]
}

/** Whether both mean the same connections and the same Host. */
export function isSameEndpoint(one: Endpoint, other: Endpoint): boolean {
  return (
    one.id === other.id &&
    one.authority === other.authority &&
    one.hostname === other.hostname &&
    one.target.tls?.servername === other.target.tls?.servername
  )
}

function endpointOf(backend: BackendConfig, address: string, hostname: string | undefined): Endpoint {
  const { protocol, port, weight } = backend
  const tls = protocol === 'https:' ? { servername: backend.hostname } : undefined
  const isDefaultPort = port === (protocol === 'https:' ? 443 : 80)
  const host = bracketed(backend.hostname)
  return {
    id: `${bracketed(address)}:${port}`,
    target: { address, port, tls },
    authority: isDefaultPort ? host : `${host}:${port}`,
    hostname,
    weight,
  }
}

function bracketed(host: string): string {
  return isIPv6(host) ? `[${host}]` : host
}
