import { describe, expect, test } from '@jest/globals'
import { readIpPool, type Seat } from './ip-pool.ts'

function seatsOf(text: string): readonly Seat[] {
  const pool = readIpPool(text.split(',').map((entry) => entry.trim()))
  return pool.kind === 'seats' ? pool.seats : []
}

function faultsOf(text: string): readonly string[] {
  const pool = readIpPool(text.split(',').map((entry) => entry.trim()))
  return pool.kind === 'faults' ? pool.faults : []
}

const ids = (text: string): readonly string[] => seatsOf(text).map(({ id }) => id)

test('addresses take turns in the order given, in canonical spelling', () => {
  expect(seatsOf('192.0.2.9, 2001:0DB8:0:0::0001, ::ffff:192.0.2.7')).toEqual([
    { kind: 'address', id: '192.0.2.9', entry: '192.0.2.9', family: 4 },
    { kind: 'address', id: '2001:db8::1', entry: '2001:db8::1', family: 6 },
    { kind: 'address', id: '192.0.2.7', entry: '192.0.2.7', family: 4 },
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
  const seats = seatsOf('198.51.100.0/22')
  expect(seats).toHaveLength(1022)
  expect([seats[0]?.id, seats.at(-1)?.id]).toEqual(['198.51.100.1', '198.51.103.254'])
  expect(new Set(seats.map(({ entry }) => entry))).toEqual(new Set(['198.51.100.0/22']))
})

test.each([
  ['10.0.0.0/21', 4],
  ['2001:DB8::/64', 6],
  ['2001:db8::/127', 6],
])('%s is one place in the rotation', (text, family) => {
  expect(seatsOf(text)).toMatchObject([{ kind: 'prefix', id: text.toLowerCase(), entry: text.toLowerCase(), family }])
})

test('with no pool the system chooses, for both families', () => {
  expect(readIpPool([])).toMatchObject({
    seats: [
      { kind: 'system', entry: 'system', family: 4 },
      { kind: 'system', entry: 'system', family: 6 },
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
