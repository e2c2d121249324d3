import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { isIP, isIPv4 } from 'node:net'
import { addressBlocks } from './address-blocks.ts'
import { canonicalAddress } from './canonical-address.ts'

export interface ClientAddressOptions {
  /** Blocks of the proxies whose X-Forwarded-For is believed, such as `10.0.0.0/8`. */
  readonly trusted: readonly string[]
}

/**
 * Makes the function that finds a request's client: the peer, or, behind trusted proxies, the last hop of
 * X-Forwarded-For that is none of them. The field is read from the right, since everything left of the first
 * untrusted hop may be forged. A hop that cannot be read makes the client unknown; the proxy that added it is not taken
 * for the client, since it is trusted.
 *
 * The result is an address in canonical spelling (IPv4-mapped as IPv4, RFC 5952), or '' when it is not known: the peer
 * is gone, or a trusted proxy sent something other than an address.
 * @throws RangeError if a block is malformed
 */
export function clientAddress({ trusted }: ClientAddressOptions): (req: IncomingMessage) => string {
  if (trusted.length === 0) return peerAddress
  const isTrusted = addressBlocks(trusted)
  // The peer stays the same for as long as its connection, which carries many requests.
  const peers = new WeakMap<Socket, Hop>()
  return (req) => {
    let peer = peers.get(req.socket)
    if (peer === undefined) {
      const address = canonicalAddress(peerAddress(req))
      peer = { address: address ?? '', isTrusted: address !== undefined && isTrusted(address) }
      peers.set(req.socket, peer)
    }
    return peer.isTrusted ? lastUntrusted(req, peer.address, isTrusted) : peer.address
  }
}

/** Makes the test whether the peer of a request is a trusted proxy. Throws as above. */
export function trustedPeer({ trusted }: ClientAddressOptions): (req: Pick<IncomingMessage, 'socket'>) => boolean {
  const isTrusted = addressBlocks(trusted)
  return (req) => isTrusted(canonicalAddress(peerAddress(req)) ?? '')
}

interface Hop {
  readonly address: string
  readonly isTrusted: boolean
}

function lastUntrusted(req: IncomingMessage, peer: string, isTrusted: (address: string) => boolean): string {
  // Node joins repeated fields with a comma.
  const field = req.headers['x-forwarded-for']
  if (typeof field !== 'string') return peer
  let last = peer
  for (let end = field.length; isTrusted(last) && end >= 0;) {
    const comma = end === 0 ? -1 : field.lastIndexOf(',', end - 1)
    const hop = forwardedHop(field.slice(comma + 1, end))
    if (hop === undefined) return ''
    last = hop
    end = comma
  }
  return last
}

/** The other end of a request's connection, in canonical spelling; '' when it is gone. */
export function peerAddress(req: Pick<IncomingMessage, 'socket'>): string {
  return plainAddress(req.socket.remoteAddress)
}

/** The kernel's own spelling is canonical but for two things: IPv4 on a dual-stack listener, and zone ids. */
export function plainAddress(address = ''): string {
  if (address.startsWith('::ffff:') && address.includes('.')) return address.slice(7)
  return withoutZone(address)
}

/** A zone has a meaning only on the machine that wrote it. */
function withoutZone(address: string): string {
  const zone = address.indexOf('%')
  return zone < 0 ? address : address.slice(0, zone)
}

/** A port, or what stands for one (RFC 7239 §6.2). */
const port = /^:(?:\d{1,5}|_[\w.-]+)$/

/**
 * The address of one hop of X-Forwarded-For, canonical, in any of the forms that proxies write: with or without a port,
 * IPv6 with or without brackets, in quotes or not (RFC 7239 §6), with a zone, which is left out. Undefined for
 * `unknown`, for an obfuscated name, and for whatever else is no address.
 */
export function forwardedHop(text: string): string | undefined {
  const [, quoted] = /^"(.*)"$/.exec(text.trim()) ?? []
  const node = (quoted ?? text).trim()
  if (isIP(node) !== 0) return canonicalAddress(withoutZone(node))
  const [, bracketed, afterBracket = ''] = /^\[([^\]]*)\](.*)$/.exec(node) ?? []
  if (bracketed !== undefined) {
    const isRead = !isIPv4(bracketed) && (afterBracket === '' || port.test(afterBracket))
    return isRead ? canonicalAddress(withoutZone(bracketed)) : undefined
  }
  const colon = node.indexOf(':')
  const address = node.slice(0, Math.max(colon, 0))
  return isIPv4(address) && port.test(node.slice(colon)) ? address : undefined
}
