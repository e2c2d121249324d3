import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { canonicalAddress } from './canonical-address.ts'
import { forwardedHop } from './forwarded-hop.ts'

type Address = ipaddr.IPv4 | ipaddr.IPv6

/** A block of addresses, IPv4-mapped ones as IPv4. */
export interface Cidr {
  readonly network: Address
  readonly bits: number
}

/**
 * `10.0.0.0/8`, `fd00::/8` or a single address; `undefined` for anything else. Strict: ipaddr.js would also read
 * `0177.1`, `0x7f.1` and zone ids, so `net.isIP` is asked first.
 */
export function parseCidr(text: string): Cidr | undefined {
  const [address = '', prefix, ...rest] = text.split('/')
  const network = parseAddress(address)
  if (network === undefined || rest.length > 0) return undefined
  const width = isIP(address) === 4 ? 32 : 128
  if (prefix !== undefined && !/^(?:0|[1-9]\d{0,2})$/.test(prefix)) return undefined
  const given = prefix === undefined ? width : Number(prefix)
  // A mapped block is 96 bits longer than the IPv4 block that it stands for.
  const bits = width === 128 && network.kind() === 'ipv4' ? given - 96 : given
  return given <= width && bits >= 0 ? { network, bits } : undefined
}

export interface ClientAddressOptions {
  /** Blocks of the proxies whose X-Forwarded-For is believed, such as `10.0.0.0/8`. */
  readonly trusted: readonly string[]
}

/**
 * Makes the function that tells a request's client: the peer, or, behind trusted proxies, the last hop of
 * X-Forwarded-For that is none of them. The field is read from the right, since everything left of the first
 * untrusted hop may be invented. A hop that cannot be read is a client that is not known, and never the proxy that
 * told of it, which would be trusted.
 *
 * The answer is an address in its canonical spelling (IPv4-mapped as IPv4, RFC 5952), or '' when it is not known: the
 * peer is gone, or a trusted proxy has told something else than an address.
 * Throws a RangeError if a block is malformed.
 */
export function clientAddress({ trusted }: ClientAddressOptions): (req: IncomingMessage) => string {
  const blocks = trusted.map(blockOf)
  if (blocks.length === 0) return peerAddress

  // The peer stays the same for as long as its connection, which carries many requests.
  const peers = new WeakMap<Socket, Hop>()
  return (req) => {
    let peer = peers.get(req.socket)
    if (peer === undefined) {
      peer = hop(canonicalAddress(plainAddress(req.socket.remoteAddress)), blocks) ?? { address: '', trusted: false }
      peers.set(req.socket, peer)
    }
    return peer.trusted ? lastUntrusted(req, peer, blocks) : peer.address
  }
}

/** Makes the function that tells whether the other end of a request's connection is a trusted proxy. Throws as above. */
export function trustedPeer({ trusted }: ClientAddressOptions): (req: IncomingMessage) => boolean {
  const blocks = trusted.map(blockOf)
  return (req) => hop(canonicalAddress(peerAddress(req)), blocks)?.trusted === true
}

function blockOf(text: string): Cidr {
  const block = parseCidr(text)
  if (block === undefined) throw new RangeError(`Not a block of addresses: ${text}`)
  return block
}

/** The other end of a request's connection, in canonical spelling; '' when it is gone. */
export function peerAddress(req: IncomingMessage): string {
  return plainAddress(req.socket.remoteAddress)
}

interface Hop {
  readonly address: string
  readonly trusted: boolean
}

function lastUntrusted(req: IncomingMessage, peer: Hop, blocks: readonly Cidr[]): string {
  // Node joins repeated fields with a comma.
  const field = req.headers['x-forwarded-for']
  if (typeof field !== 'string') return peer.address
  let last = peer
  for (let end = field.length; last.trusted && end >= 0;) {
    const comma = end === 0 ? -1 : field.lastIndexOf(',', end - 1)
    const next = hop(forwardedHop(field.slice(comma + 1, end)), blocks)
    if (next === undefined) return ''
    last = next
    end = comma
  }
  return last.address
}

function hop(address: string | undefined, blocks: readonly Cidr[]): Hop | undefined {
  const parsed = address === undefined ? undefined : parseAddress(address)
  if (address === undefined || parsed === undefined) return undefined
  return { address, trusted: blocks.some((block) => contains(block, parsed)) }
}

function contains({ network, bits }: Cidr, address: Address): boolean {
  return network.kind() === address.kind() && address.match(network, bits)
}

/** The kernel's own spelling is canonical but for two things: IPv4 on a dual-stack listener, and zone ids. */
export function plainAddress(address = ''): string {
  if (address.startsWith('::ffff:') && address.includes('.')) return address.slice(7)
  const zone = address.indexOf('%')
  return zone < 0 ? address : address.slice(0, zone)
}

function parseAddress(text: string): Address | undefined {
  const address = canonicalAddress(text)
  return address === undefined ? undefined : ipaddr.parse(address)
}
