import { networkInterfaces } from 'node:os'
import { expect, test } from '@jest/globals'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { OwnAddresses } from './own-addresses.ts'

function ownAddresses(list: () => readonly string[] = () => ['198.51.100.7', '2001:DB8:0::7', 'fe80::1%eth0']) {
  return new OwnAddresses({ clock: manualClock(), blocks: ['2001:db8:1::/64'], list })
}

test('has what the interfaces have, in any spelling, and the prefixes of the pool', () => {
  const own = ownAddresses()
  const asked = ['198.51.100.7', '198.51.100.8', '2001:db8::7', '2001:db8:1::1234', '2001:db8:1:1::1']
  expect(asked.filter((address) => own.has(address))).toEqual(['198.51.100.7', '2001:db8::7', '2001:db8:1::1234'])
})

test('an address that comes to an interface or leaves it is noticed within five seconds', () => {
  let addresses = ['198.51.100.7']
  const clock = manualClock()
  const own = new OwnAddresses({ clock, blocks: [], list: () => addresses })
  expect(own.has('198.51.100.7')).toBe(true)
  addresses = ['198.51.100.8']
  clock.advance(5000)
  expect([own.has('198.51.100.7'), own.has('198.51.100.8')]).toEqual([false, true])
})

test('those that were listed before stand while the system cannot list them', () => {
  let canList = true
  const list = (): readonly string[] => {
    if (!canList) throw new Error('uv_interface_addresses returned EMFILE')
    return ['198.51.100.7']
  }
  const clock = manualClock()
  const own = new OwnAddresses({ clock, blocks: [], list })
  expect(own.has('198.51.100.7')).toBe(true)
  canList = false
  clock.advance(5000)
  expect([own.has('198.51.100.7'), own.has('198.51.100.8')]).toEqual([true, false])
})

test('asks the system', () => {
  const own = new OwnAddresses({ clock: manualClock(), blocks: [] })
  const addresses = Object.values(networkInterfaces()).flatMap((list = []) => list.map(({ address }) => address))
  expect(addresses.filter((address) => !address.includes(':')).every((address) => own.has(address))).toBe(true)
})

test.each([
  ['0.0.0.0', ['127.0.0.1', '127.0.0.9', '0.0.0.0', '::', '::1', '198.51.100.7', '2001:db8:1::5']],
  ['::', ['127.0.0.1', '::1', '198.51.100.7', '2001:db8::7', '0.0.0.0']],
  ['127.0.0.1', ['127.0.0.1', '0.0.0.0', '::']],
  ['::FFFF:198.51.100.7', ['198.51.100.7', '0.0.0.0']],
])('who listens at %s is reached at %j, and only at its port', (host, addresses) => {
  const own = ownAddresses()
  own.addListener({ host, port: 7777 })
  expect(addresses.filter((address) => !own.listensAt(address, 7777))).toEqual([])
  expect(addresses.filter((address) => own.listensAt(address, 7778))).toEqual([])
  expect(own.listensAt('192.0.2.1', 7777)).toBe(false)
})
