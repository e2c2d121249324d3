import { isIPv4 } from 'node:net'

/** Where a client wants to go, read strictly from what it sent. */
export interface Target {
  /** A name in lower case without a final dot, or an address in canonical spelling without brackets. */
  readonly host: string
  readonly port: number
  readonly isAddress: boolean
}

/** `host:port` as it goes into Host and logs, IPv6 in brackets. */
export function authorityOf({ host, port }: Pick<Target, 'host' | 'port'>): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** An address that a target stands for and that may be dialled; a name if that is sent to another proxy (`nameAddress`). */
export interface TargetAddress {
  readonly address: string
  readonly family: 4 | 6
}

/** What stands for the addresses of a name that another proxy looks up. */
export function nameAddress(name: string): TargetAddress {
  return { address: name, family: 4 }
}

/** Of an address in canonical spelling. */
export function targetAddress(address: string): TargetAddress {
  return { address, family: isIPv4(address) ? 4 : 6 }
}

export type TargetVerdict =
  /** In the order in which they are to be tried; at least one. */
  | { readonly kind: 'allowed'; readonly addresses: readonly TargetAddress[] }
  /** `reason` is a word from a closed set: for logs, metrics and Proxy-Status. */
  | { readonly kind: 'refused'; readonly reason: 'port' | 'denied' | 'private' | 'own' }
  | { readonly kind: 'unresolved'; readonly code: string; readonly timedOut: boolean }
