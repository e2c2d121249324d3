import { isIP } from 'node:net'
import { addressKind } from '@ipfleet/net/address-kind.ts'
import { readHost } from '@ipfleet/net/authority.ts'

/** What clients may speak. */
export const protocols = ['http', 'socks5'] as const
export type Protocol = (typeof protocols)[number]

/** Where a server listens. */
export interface Endpoint {
  /** An address; `0.0.0.0` and `::` are all of them. */
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
}

export const endpointInWords = 'host:port, [::]:port or :port; the host is an address or localhost'

/** `:port` is on all IPv4 addresses. Undefined for what is no endpoint. */
export function readEndpoint(text: string): Endpoint | undefined {
  const [, hostText = '', portText = ''] = /^(\[[^[\]]*\]|[^:[\]]*):(0|[1-9]\d{0,4})$/.exec(text) ?? []
  const host = hostText === '' ? '0.0.0.0' : hostOf(hostText)
  const port = Number(portText)
  return host === undefined || portText === '' || port > 65_535 ? undefined : { host, port }
}

function hostOf(text: string): string | undefined {
  const host = readHost(text)?.host
  // Any other name may stand for another machine tomorrow.
  return host === 'localhost' ? '127.0.0.1' : host !== undefined && isIP(host) > 0 ? host : undefined
}

interface UserSettings {
  readonly PROXY_USER: string | undefined
  readonly USERS_FILE: string | undefined
}

/** Where the proxy listens: on loopback only if it asks for no credentials, since every client may then use it. */
export function listenAddressOf(
  { PROXY_USER: user, USERS_FILE: file }: UserSettings,
  given: Endpoint,
): Endpoint & { readonly narrowed: boolean } {
  if (user !== undefined || file !== undefined || addressKind(given.host) === 'loopback')
    return { ...given, narrowed: false }
  const isIpv6 = given.host.includes(':') && given.host !== '::'
  return { host: isIpv6 ? '::1' : '127.0.0.1', port: given.port, narrowed: true }
}
