import { randomBytes } from 'node:crypto'
import { addressBlocks } from '@ipfleet/net/address-blocks.ts'
import { expect, test } from '@jest/globals'
import { readIpPool, type Seat } from './ip-pool.ts'
import { prefixAddress } from './prefix-address.ts'

function prefix(text: string): Extract<Seat, { kind: 'prefix' }> {
  const pool = readIpPool(text.split(','))
  const seat = pool.kind === 'seats' ? pool.seats[0] : undefined
  if (seat?.kind !== 'prefix') throw new Error(`no prefix: ${text}`)
  return seat
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
