/** Writes MMDB files, so that tests read real ones. After the MaxMind DB specification, version 2.0. */

import { isIPv6 } from 'node:net'

export type MmdbValue = string | number | boolean | readonly MmdbValue[] | { readonly [name: string]: MmdbValue }

export interface TinyMmdb {
  readonly ipVersion: 4 | 6
  readonly type: string
  /** Address or network, and its record. A later one is not put inside of an earlier one. */
  readonly records: Iterable<readonly [network: string, record: MmdbValue]>
  /** Bits of each side of a node. */
  readonly recordSize?: 24 | 28 | 32
  /** Whether `::ffff:0:0/96` and `2002::/16` lead to the IPv4 networks, as in MaxMind's files. */
  readonly aliased?: boolean
  /** Seconds since 1970. */
  readonly buildEpoch?: number
}

/** A child is a node, a record (offset in the data section), or nothing. */
type Child = Node | number | undefined
type Node = [left: Child, right: Child]

/** @returns the bytes of the file */
export function tinyMmdb(contents: TinyMmdb): Buffer {
  const { ipVersion, type, records, recordSize = 32, aliased = false, buildEpoch = 1_750_000_000 } = contents
  const root: Node = [undefined, undefined]
  const data: Buffer[] = []
  const offsets = new Map<string, number>()
  let dataLength = 0
  for (const [network, record] of records) {
    const name = JSON.stringify(record)
    const known = offsets.get(name)
    const offset = known ?? dataLength
    if (known === undefined) {
      const bytes = encoded(record)
      data.push(bytes)
      offsets.set(name, offset)
      dataLength += bytes.length
    }
    insert(root, bitsOf(network, ipVersion), offset)
  }
  if (aliased) for (const alias of ['::ffff:0:0/96', '2002::/16']) insert(root, bitsOf(alias, 6), ipv4Tree(root))
  const nodes = breadthFirst(root)
  const metadata = metadataOf({ ipVersion, type, recordSize, buildEpoch, nodeCount: nodes.length })
  const marker = Buffer.concat([Buffer.from('abcdef', 'hex'), Buffer.from('MaxMind.com')])
  return Buffer.concat([treeOf(nodes, recordSize), Buffer.alloc(16), ...data, marker, metadata])
}

interface Metadata {
  readonly ipVersion: number
  readonly type: string
  readonly recordSize: number
  readonly buildEpoch: number
  readonly nodeCount: number
}

/** With the types that the specification says: libmaxminddb opens no file with others. */
function metadataOf({ ipVersion, type, recordSize, buildEpoch, nodeCount }: Metadata): Buffer {
  const members: readonly (readonly [name: string, value: Buffer])[] = [
    ['binary_format_major_version', encodedUint16(2)],
    ['binary_format_minor_version', encodedUint16(0)],
    ['build_epoch', encodedUint64(buildEpoch)],
    ['database_type', encoded(type)],
    ['description', encoded({})],
    ['ip_version', encodedUint16(ipVersion)],
    ['languages', encoded([])],
    ['node_count', encoded(nodeCount)],
    ['record_size', encodedUint16(recordSize)],
  ]
  return Buffer.concat([control(7, members.length), ...members.flatMap(([name, value]) => [encoded(name), value])])
}

function encodedUint16(value: number): Buffer {
  return Buffer.concat([control(5, 2), Buffer.from([value >> 8, value & 255])])
}

function encodedUint64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return Buffer.concat([control(9, 8), bytes])
}

function insert(root: Node, bits: readonly number[], child: Child): void {
  let node = root
  for (const [depth, bit] of bits.entries()) {
    if (depth === bits.length - 1) {
      node[bit] = child
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

function ipv4Tree(root: Node): Child {
  let child: Child = root
  for (let depth = 0; depth < 96 && typeof child === 'object'; depth += 1) child = child[0]
  return child
}

/** Each node once, also one that two others lead to. */
function breadthFirst(root: Node): readonly Node[] {
  const nodes = new Set([root])
  // The set grows while it is walked.
  for (const node of nodes) for (const child of node) if (typeof child === 'object') nodes.add(child)
  return [...nodes]
}

function treeOf(nodes: readonly Node[], recordSize: 24 | 28 | 32): Buffer {
  const positions = new Map(nodes.map((node, position) => [node, position]))
  const nodeBytes = recordSize / 4
  const tree = Buffer.alloc(nodes.length * nodeBytes)
  for (const [position, node] of nodes.entries()) {
    const [left = 0, right = 0] = node.map((child) =>
      typeof child === 'number' ? nodes.length + 16 + child : ((child && positions.get(child)) ?? nodes.length),
    )
    writeNode(tree, position * nodeBytes, [left, right], recordSize)
  }
  return tree
}

function writeNode(tree: Buffer, at: number, [left, right]: [number, number], recordSize: 24 | 28 | 32): void {
  if (recordSize === 32) {
    tree.writeUInt32BE(left, at)
    tree.writeUInt32BE(right, at + 4)
    return
  }
  const side = 3
  tree.writeUIntBE(left % 2 ** 24, at, side)
  tree.writeUIntBE(right % 2 ** 24, at + recordSize / 4 - side, side)
  if (recordSize === 28) tree[at + side] = (Math.floor(left / 2 ** 24) << 4) | Math.floor(right / 2 ** 24)
}

/** In an IPv6 tree, IPv4 addresses stand below 96 zeros. */
function bitsOf(network: string, ipVersion: 4 | 6): readonly number[] {
  const [address = '', length] = network.split('/')
  const isShort = ipVersion === 6 && !isIPv6(address)
  const bytes = isIPv6(address) ? groupsOf(address).flatMap((group) => [group >> 8, group & 255]) : octetsOf(address)
  const padded = isShort ? [...Array.from({ length: 12 }, () => 0), ...bytes] : bytes
  const bits = padded.flatMap((byte) => Array.from({ length: 8 }, (_, index) => (byte >> (7 - index)) & 1))
  return length === undefined ? bits : bits.slice(0, Number(length) + (isShort ? 96 : 0))
}

function octetsOf(address: string): number[] {
  return address.split('.').map(Number)
}

function groupsOf(address: string): number[] {
  const [head = [], tail = []] = address.split('::').map((half) => half.split(':').filter(Boolean))
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0')
  return [...head, ...zeros, ...tail].map((group) => Number.parseInt(group, 16))
}

/** Types of the specification: 2 text, 3 double, 6 unsigned 32 bits, 7 map, 11 array, 14 boolean. */
function encoded(value: MmdbValue): Buffer {
  if (typeof value === 'string') return Buffer.concat([control(2, Buffer.byteLength(value)), Buffer.from(value)])
  if (typeof value === 'boolean') return control(14, value ? 1 : 0)
  if (typeof value === 'number') return encodedNumber(value)
  if (isList(value)) return Buffer.concat([control(11, value.length), ...value.map(encoded)])
  const entries = Object.entries(value)
  return Buffer.concat([control(7, entries.length), ...entries.flat().map(encoded)])
}

const isList = (value: object): value is readonly MmdbValue[] => Array.isArray(value)

function encodedNumber(value: number): Buffer {
  const isCount = Number.isInteger(value) && value >= 0 && value < 2 ** 32
  const bytes = Buffer.alloc(isCount ? 4 : 8)
  if (isCount) bytes.writeUInt32BE(value)
  else bytes.writeDoubleBE(value)
  return Buffer.concat([control(isCount ? 6 : 3, bytes.length), bytes])
}

/** Types over 7 have a byte of their own; sizes over 28 take one byte more, those over 284 two. */
function control(type: number, size: number): Buffer {
  const [short, more] =
    size < 29 ? [size, []] : size < 285 ? [29, [size - 29]] : [30, [(size - 285) >> 8, (size - 285) & 255]]
  return Buffer.from(type > 7 ? [short, type - 7, ...more] : [(type << 5) | short, ...more])
}
