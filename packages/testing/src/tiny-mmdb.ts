/** Writes small MMDB files, so that tests read real ones. After the MaxMind DB specification, version 2.0. */

import { isIPv6 } from 'node:net'

type Value = string | number | { readonly [name: string]: Value }

export interface TinyMmdb {
  readonly ipVersion: 4 | 6
  readonly type: string
  /** Address and record; each address is a network of its own. */
  readonly records: ReadonlyArray<readonly [address: string, record: Value]>
}

/** A child is a node, a record (index in the data section), or nothing. */
type Child = Node | number | undefined
type Node = [left: Child, right: Child]

/** The file's bytes, with records of 32 bits per node side. */
export function tinyMmdb({ ipVersion, type, records }: TinyMmdb): Buffer {
  const root: Node = [undefined, undefined]
  const data: Buffer[] = []
  let dataLength = 0
  for (const [address, record] of records) {
    insert(root, bitsOf(address, ipVersion), dataLength)
    const bytes = encoded(record)
    data.push(bytes)
    dataLength += bytes.length
  }
  const nodes = breadthFirst(root)
  const metadata = encoded({
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 1_750_000_000,
    database_type: type,
    ip_version: ipVersion,
    node_count: nodes.length,
    record_size: 32,
  })
  const marker = Buffer.concat([Buffer.from('abcdef', 'hex'), Buffer.from('MaxMind.com')])
  return Buffer.concat([treeOf(nodes), Buffer.alloc(16), ...data, marker, metadata])
}

function insert(root: Node, bits: readonly (0 | 1)[], offset: number): void {
  let node = root
  for (const [depth, bit] of bits.entries()) {
    if (depth === bits.length - 1) {
      node[bit] = offset
      return
    }
    const next = node[bit]
    if (typeof next === 'object') {
      node = next
    } else {
      const made: Node = [undefined, undefined]
      node[bit] = made
      node = made
    }
  }
}

function breadthFirst(root: Node): readonly Node[] {
  const nodes = [root]
  // The list grows while it is walked.
  for (const node of nodes) for (const child of node) if (typeof child === 'object') nodes.push(child)
  return nodes
}

function treeOf(nodes: readonly Node[]): Buffer {
  const positions = new Map(nodes.map((node, position) => [node, position]))
  const tree = Buffer.alloc(nodes.length * 8)
  for (const [position, node] of nodes.entries()) {
    for (const [side, child] of node.entries()) {
      const value = typeof child === 'number' ? nodes.length + 16 + child : child && positions.get(child)
      tree.writeUInt32BE(value ?? nodes.length, position * 8 + side * 4)
    }
  }
  return tree
}

/** In an IPv6 tree, IPv4 addresses stand below 96 zeros. */
function bitsOf(address: string, ipVersion: 4 | 6): readonly (0 | 1)[] {
  const bytes = isIPv6(address) ? groupsOf(address).flatMap((group) => [group >> 8, group & 255]) : octetsOf(address)
  const padded = ipVersion === 6 && bytes.length === 4 ? [...Array.from({ length: 12 }, () => 0), ...bytes] : bytes
  return padded.flatMap((byte) => Array.from({ length: 8 }, (_, index) => ((byte >> (7 - index)) & 1 ? 1 : 0)))
}

function octetsOf(address: string): number[] {
  return address.split('.').map(Number)
}

function groupsOf(address: string): number[] {
  const [head = [], tail = []] = address.split('::').map((half) => half.split(':').filter(Boolean))
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0')
  return [...head, ...zeros, ...tail].map((group) => Number.parseInt(group, 16))
}

/** Types of the specification: 2 text, 6 unsigned 32 bits, 7 map. Sizes over 28 take one more byte. */
function encoded(value: Value): Buffer {
  if (typeof value === 'string') return Buffer.concat([control(2, Buffer.byteLength(value)), Buffer.from(value)])
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(value)
    return Buffer.concat([control(6, 4), bytes])
  }
  const entries = Object.entries(value)
  return Buffer.concat([control(7, entries.length), ...entries.flat().map(encoded)])
}

function control(type: number, size: number): Buffer {
  return size < 29 ? Buffer.from([(type << 5) | size]) : Buffer.from([(type << 5) | 29, size - 29])
}
