import { randomBytes } from 'node:crypto'
import { addressBlocks } from '@ipfleet/net/address-blocks.ts'
import { describe, expect, test } from '@jest/globals'
import { poolAddresses, readIpPool, type PoolEntry, prefixAddress } from './ip-pool.ts'

function entriesOf(text: string): readonly PoolEntry[] {
  const pool = readIpPool(text.split(',').map((entry) => entry.trim()))
  return pool.kind === 'entries' ? pool.entries : []
}

function faultsOf(text: string): readonly string[] {
  const pool = readIpPool(text.split(',').map((entry) => entry.trim()))
  return pool.kind === 'faults' ? pool.faults : []
}

const ids = (text: string): readonly string[] => entriesOf(text).map(({ id }) => id)

test('addresses take turns in the order given, in canonical spelling', () => {
  expect(entriesOf('192.0.2.9, 2001:0DB8:0:0::0001, ::ffff:192.0.2.7')).toEqual([
    { kind: 'address', id: '192.0.2.9', listedAs: '192.0.2.9', family: 4 },
    { kind: 'address', id: '2001:db8::1', listedAs: '2001:db8::1', family: 6 },
    { kind: 'address', id: '192.0.2.7', listedAs: '192.0.2.7', family: 4 },
  ])
})

test.each([
  ['192.0.2.7/32', ['192.0.2.7']],
  ['192.0.2.6/31', ['192.0.2.6', '192.0.2.7']],
  ['192.0.2.4/30', ['192.0.2.5', '192.0.2.6']],
  ['::ffff:192.0.2.4/126', ['192.0.2.5', '192.0.2.6']],
  ['2001:db8::7/128', ['2001:db8::7']],
  ['192.0.2.5, 192.0.2.4/30', ['192.0.2.5', '192.0.2.6']],
])('%s stands for %j', (text, addresses) => {
  expect(ids(text)).toEqual(addresses)
})

test('an IPv4 prefix of 1024 addresses is listed without the first and the last; all are of one entry', () => {
  const entries = entriesOf('198.51.100.0/22')
  expect(entries).toHaveLength(1022)
  expect([entries[0]?.id, entries.at(-1)?.id]).toEqual(['198.51.100.1', '198.51.103.254'])
  expect(new Set(entries.map(({ listedAs }) => listedAs))).toEqual(new Set(['198.51.100.0/22']))
})

test.each([
  ['10.0.0.0/21', 4],
  ['2001:DB8::/64', 6],
  ['2001:db8::/127', 6],
])('%s is one place in the rotation', (text, family) => {
  expect(entriesOf(text)).toMatchObject([
    { kind: 'prefix', id: text.toLowerCase(), listedAs: text.toLowerCase(), family },
  ])
})

test('with no pool the system chooses, for both families', () => {
  expect(readIpPool([])).toMatchObject({
    entries: [
      { kind: 'system', listedAs: 'system', family: 4 },
      { kind: 'system', listedAs: 'system', family: 6 },
    ],
  })
})

describe('refused, in words', () => {
  test.each([
    ['localhost', '"localhost" is neither an address nor a prefix'],
    ['0177.0.0.1', '"0177.0.0.1" is neither an address nor a prefix'],
    ['192.0.2.0/33', '"192.0.2.0/33" is neither an address nor a prefix'],
    ['192.0.2.1-192.0.2.9', '"192.0.2.1-192.0.2.9" is neither an address nor a prefix'],
    ['fe80::1%eth0', '"fe80::1%eth0" is neither an address nor a prefix'],
    ['fe80::1', '"fe80::1" is link-local, which means nothing without an interface'],
    ['0.0.0.0', '"0.0.0.0" is unspecified, no source address'],
    ['::', '"::" is unspecified, no source address'],
    ['224.0.0.1', '"224.0.0.1" is multicast, no source address'],
    ['255.255.255.255', '"255.255.255.255" is broadcast, no source address'],
    ['0.0.0.0/0', '"0.0.0.0/0" is too large: at least /8'],
    ['2000::/3', '"2000::/3" is too large: at least /16'],
    ['172.105.123.45/24', '"172.105.123.45/24" means 172.105.123.0/24, or the address 172.105.123.45 alone'],
    [
      '10.0.0.0/20,10.1.0.0/22,10.2.0.0/22,10.3.0.0/22,10.4.0.0/22,10.5.0.0/22',
      'these are more than 4096 addresses to take turns',
    ],
  ])('%s', (text, fault) => {
    expect(faultsOf(text)).toEqual([fault])
  })

  test('each of several', () => {
    expect(faultsOf('x, 192.0.2.1, y')).toHaveLength(2)
  })
})

function prefix(text: string): Extract<PoolEntry, { kind: 'prefix' }> {
  const pool = readIpPool(text.split(','))
  const entry = pool.kind === 'entries' ? pool.entries[0] : undefined
  if (entry?.kind !== 'prefix') throw new Error(`no prefix: ${text}`)
  return entry
}

const zeros = new Uint8Array(16)
const ones = new Uint8Array(16).fill(0xff)

test.each(['10.64.0.0/10', '10.0.0.0/21', '2001:db8::/33', '2001:db8:0:8::/61', '2001:db8::/64', '2001:db8::80/121'])(
  'any address of %s lies in it, in canonical spelling',
  (text) => {
    const isInside = addressBlocks([text])
    const addresses = Array.from({ length: 300 }, () => prefixAddress(prefix(text), randomBytes(16)))
    expect(addresses.every(isInside)).toBe(true)
    expect(new Set(addresses).size).toBeGreaterThan(100)
  },
)

test.each([
  ['10.0.0.0/20', zeros, '10.0.0.1'],
  ['10.0.0.0/20', ones, '10.0.15.254'],
  ['2001:db8::/64', zeros, '2001:db8::1'],
  ['2001:db8::/64', ones, '2001:db8::ffff:ffff:ffff:ffff'],
  ['2001:db8::/127', zeros, '2001:db8::'],
  ['2001:db8::/127', ones, '2001:db8::1'],
])('of %s, never the network, the routers’ or the broadcast address', (text, entropy, address) => {
  expect(prefixAddress(prefix(text), entropy)).toBe(address)
})

test.each([
  ['192.0.2.9, 2001:db8::1', ['192.0.2.9', '2001:db8::1']],
  ['2001:db8::/64, 198.51.0.0/16', ['2001:db8::', '198.51.0.0']],
  ['192.0.2.9, http://proxy.example:3128', undefined],
])('connections with %s leave from %j', (text, addresses) => {
  expect(poolAddresses(entriesOf(text))).toEqual(addresses)
})
