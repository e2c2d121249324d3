import type { Target } from '@ipfleet/net/target.ts'
import { readHost } from '@ipfleet/net/authority.ts'
import { canonicalAddress } from '@ipfleet/net/canonical-address.ts'
import type { GivenPair } from '../auth/proxy-credentials.ts'
import type { ProxyStatusError } from '../proxy/proxy-status.ts'

/** Messages of SOCKS5 (RFC 1928) and of its authentication by user and password (RFC 1929). */
export const socksVersion = 5
export const socks4Version = 4
/** Of RFC 1929. */
export const passwordVersion = 1
/** More than any of the messages, and than all of them together. */
export const maxSocksBytes = 1024

export const withoutPassword = 0
export const byPassword = 2
/** RFC 1928 §3: no method of the client is acceptable. */
const noMethod = 0xff

/** The methods that a client offers. Undefined while there is too little of its greeting. */
export function readGreeting(
  held: Buffer,
): { readonly methods: readonly number[]; readonly length: number } | undefined {
  const length = 2 + (held[1] ?? Infinity)
  return held.length < length ? undefined : { methods: [...held.subarray(2, length)], length }
}

/**
 * The method that is taken: with users to check, a password and nothing else; otherwise none if that is offered. A
 * password that is not asked for may come with the name of a session.
 */
export function chosenMethod(methods: readonly number[], asksForPassword: boolean): number {
  if (!asksForPassword && methods.includes(withoutPassword)) return withoutPassword
  return methods.includes(byPassword) ? byPassword : noMethod
}

/** RFC 1929 §2. Both may be empty: some clients send such without a user. Undefined while there is too little. */
export function readPair(held: Buffer): (GivenPair & { readonly length: number }) | undefined {
  const userEnd = 2 + (held[1] ?? Infinity)
  const length = userEnd + 1 + (held[userEnd] ?? Infinity)
  if (held.length < length) return undefined
  return { user: held.subarray(2, userEnd), password: held.subarray(userEnd + 1, length), length }
}

export interface SocksRequest {
  readonly command: number
  /** Undefined: of an unknown type, or not to be understood. */
  readonly target: Target | undefined
  readonly hasKnownType: boolean
  readonly length: number
}

export const connectCommand = 1
/** ATYP (RFC 1928 §5). */
export const ipv4Type = 1
export const nameType = 3
export const ipv6Type = 4
/** How many bytes an address has. A name says so itself, in its first byte. */
const addressBytes: Readonly<Record<number, number>> = { [ipv4Type]: 4, [ipv6Type]: 16 }

/** RFC 1928 §4. Undefined while there is too little. */
export function readRequest(held: Buffer): SocksRequest | undefined {
  if (held.length < 5) return undefined
  const [, command = 0, , type = 0, first = 0] = held
  const isName = type === nameType
  const bytes = isName ? first : addressBytes[type]
  if (bytes === undefined) return { command, target: undefined, hasKnownType: false, length: held.length }
  const start = isName ? 5 : 4
  const length = start + bytes + 2
  if (held.length < length) return undefined
  const address = held.subarray(start, start + bytes)
  const host = isName ? namedHost(address.toString('latin1')) : { host: addressText(address), isAddress: true }
  const port = held.readUInt16BE(start + bytes)
  return { command, target: host && port > 0 ? { ...host, port } : undefined, hasKnownType: true, length }
}

/** Browsers send addresses as names, too, IPv6 ones without brackets. */
function namedHost(name: string) {
  return readHost(name.includes(':') && !name.startsWith('[') ? `[${name}]` : name)
}

function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  const words = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16))
  return canonicalAddress(words.join(':')) ?? ''
}

/** RFC 1928 §6. */
export const socksReplies = {
  succeeded: 0,
  failed: 1,
  refused: 2,
  networkUnreachable: 3,
  hostUnreachable: 4,
  connectionRefused: 5,
  unknownCommand: 7,
  unknownAddressType: 8,
} as const

export type SocksReply = (typeof socksReplies)[keyof typeof socksReplies]

/** Says nothing of where the connection leaves from: clients read ten bytes, whatever the type of the address. */
export function socksReply(reply: SocksReply): Buffer {
  return Buffer.from([socksVersion, reply, 0, 1, 0, 0, 0, 0, 0, 0])
}

/** SOCKS4 is not spoken: "request rejected or failed". */
export const socks4Refusal = Buffer.from([0, 0x5b, 0, 0, 0, 0, 0, 0])

const byStatus: Partial<Readonly<Record<ProxyStatusError, SocksReply>>> = {
  http_request_denied: socksReplies.refused,
  destination_ip_prohibited: socksReplies.refused,
  destination_ip_unroutable: socksReplies.networkUnreachable,
  destination_unavailable: socksReplies.hostUnreachable,
  connection_timeout: socksReplies.hostUnreachable,
  dns_error: socksReplies.hostUnreachable,
  dns_timeout: socksReplies.hostUnreachable,
  connection_refused: socksReplies.connectionRefused,
}

/** What a client is told of a refusal. */
export function replyTo(status: ProxyStatusError): SocksReply {
  return byStatus[status] ?? socksReplies.failed
}
