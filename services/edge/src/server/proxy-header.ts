import { isIPv4, isIPv6 } from 'node:net'
import { canonicalAddress } from '@ipfleet/net/canonical-address.ts'

/** The other end of a connection, as a proxy in front has seen it. */
export interface ProxiedPeer {
  /** In canonical spelling. */
  readonly address: string
  readonly port: number
}

/** What the beginning of a connection says by the PROXY protocol. */
export type ProxyHeader =
  /** So far it may become a header. */
  | { readonly kind: 'unfinished' }
  | { readonly kind: 'malformed' }
  /** `length`: of the header, in bytes. `peer`: undefined for LOCAL, UNKNOWN and what is no TCP over IP: the proxy itself. */
  | { readonly kind: 'whole'; readonly length: number; readonly peer: ProxiedPeer | undefined }

const unfinished: ProxyHeader = { kind: 'unfinished' }
const malformed: ProxyHeader = { kind: 'malformed' }

const beginningOfV1 = Buffer.from('PROXY ')
const signatureOfV2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n')
const maxLengthOfV1 = 107
const maxLengthOfV2 = 536

/**
 * Reads a header of version 1 or 2 of the PROXY protocol (haproxy.org, proxy-protocol.txt §2) at the beginning of a
 * connection. What follows a header is not looked at, nor is what version 2 says beyond addresses (TLVs).
 */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (beginsAs(bytes, beginningOfV1)) return readV1(bytes)
  return beginsAs(bytes, signatureOfV2) ? readV2(bytes) : malformed
}

/** As far as there are bytes. */
function beginsAs(bytes: Buffer, beginning: Buffer): boolean {
  const length = Math.min(bytes.length, beginning.length)
  return bytes.compare(beginning, 0, length, 0, length) === 0
}

const formOfV1 = /^PROXY TCP([46]) ([\da-fA-F.:]+) ([\da-fA-F.:]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})$/

/** §2.1. After UNKNOWN anything may stand before the end of the line. */
function readV1(bytes: Buffer): ProxyHeader {
  const text = bytes.toString('latin1', 0, maxLengthOfV1)
  const end = text.indexOf('\r\n')
  if (end < 0) return bytes.length < maxLengthOfV1 ? unfinished : malformed
  const line = text.slice(0, end)
  const length = end + 2
  if (/^PROXY UNKNOWN(?: |$)/.test(line)) return { kind: 'whole', length, peer: undefined }
  const [, family, source = '', destination = '', sourcePort = '', destinationPort = ''] = formOfV1.exec(line) ?? []
  const isAddress = family === '4' ? isIPv4 : isIPv6
  const address = isAddress(source) && isAddress(destination) ? canonicalAddress(source) : undefined
  const port = Number(sourcePort)
  if (address === undefined || port > 65_535 || Number(destinationPort) > 65_535) return malformed
  return { kind: 'whole', length, peer: { address, port } }
}

/** Of signature, version, command, family and length. */
const fixedLength = 16
/** §2.2: by the byte of the family, how long both addresses with their ports are. UDP and UNIX are known, and not used. */
const addressLengths = new Map([
  [0x00, 0],
  [0x11, 12],
  [0x12, 12],
  [0x21, 36],
  [0x22, 36],
  [0x31, 216],
  [0x32, 216],
])

function readV2(bytes: Buffer): ProxyHeader {
  if (bytes.length < fixedLength) return unfinished
  const command = bytes.readUInt8(12)
  const family = bytes.readUInt8(13)
  const length = fixedLength + bytes.readUInt16BE(14)
  const isLocal = command === 0x20
  if ((!isLocal && command !== 0x21) || length > maxLengthOfV2) return malformed
  // Of LOCAL the family has no meaning.
  const least = isLocal ? 0 : addressLengths.get(family)
  if (least === undefined || length < fixedLength + least) return malformed
  if (bytes.length < length) return unfinished
  return { kind: 'whole', length, peer: isLocal ? undefined : peerOfV2(bytes, family) }
}

function peerOfV2(bytes: Buffer, family: number): ProxiedPeer | undefined {
  if (family === 0x11) return { address: bytes.subarray(16, 20).join('.'), port: bytes.readUInt16BE(24) }
  if (family !== 0x21) return undefined
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(16 + 2 * index).toString(16))
  return { address: canonicalAddress(groups.join(':')) ?? '', port: bytes.readUInt16BE(48) }
}
