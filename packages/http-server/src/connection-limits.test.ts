import { EventEmitter } from 'node:events'
import type { Server } from 'node:net'
import { expect, test } from '@jest/globals'
import { ConnectionLimits, type ConnectionLimitsOptions } from './connection-limits.ts'

/** A connection as far as limits care: it is from an address, and closes. */
class FakeSocket extends EventEmitter {
  destroyed = false
  readonly remoteAddress: string

  constructor(address: string) {
    super()
    this.remoteAddress = address
  }

  destroy(): void {
    this.destroyed = true
    this.emit('close')
  }
}

const whole = (changed: Partial<ConnectionLimitsOptions>): ConnectionLimitsOptions => ({
  maxConnections: Infinity,
  maxPerClient: 0,
  ...changed,
})

function limited(options: Partial<ConnectionLimitsOptions>) {
  const server = new EventEmitter()
  const limits = new ConnectionLimits(whole(options)).watch(server as unknown as Server)
  const connect = (address: string): FakeSocket => {
    const socket = new FakeSocket(address)
    server.emit('connection', socket)
    return socket
  }
  return { limits, connect, configure: (changed: Partial<ConnectionLimitsOptions>) => limits.configure(whole(changed)) }
}

test('those over the limit of all are closed, and there is room again when one has closed', () => {
  const { limits, connect } = limited({ maxConnections: 2 })
  const first = connect('a')
  connect('b')
  expect(connect('c').destroyed).toBe(true)
  expect([limits.open, limits.refused]).toEqual([2, 1])
  first.destroy()
  expect(connect('c').destroyed).toBe(false)
  expect([limits.open, limits.refused]).toEqual([2, 1])
})

test('those over the limit of one client are closed; others are not', () => {
  const { connect } = limited({ maxPerClient: 1 })
  const first = connect('a')
  expect([connect('a').destroyed, connect('b').destroyed]).toEqual([true, false])
  first.destroy()
  expect([connect('a').destroyed, connect('a').destroyed]).toEqual([false, true])
})

test('addresses of one /64 are one client', () => {
  const { connect } = limited({ maxPerClient: 1 })
  const addresses = ['2001:db8::1', '2001:db8::2', '2001:db8:0:1::1']
  expect(addresses.map((address) => connect(address).destroyed)).toEqual([false, true, false])
})

test('those who carry the requests of many have no limit of their own, but count among all', () => {
  const { connect } = limited({ maxPerClient: 1, maxConnections: 3, isTrusted: (address) => address === 'proxy' })
  expect([1, 2, 3, 4].map(() => connect('proxy').destroyed)).toEqual([false, false, false, true])
})

test('0 for one client is no limit', () => {
  const { connect } = limited({ maxPerClient: 0 })
  expect(Array.from({ length: 50 }, () => connect('a').destroyed)).not.toContain(true)
})

test('other limits hold from then on; what is open stays', () => {
  const { connect, configure } = limited({ maxPerClient: 2 })
  const open = [connect('a'), connect('a')]
  configure({ maxPerClient: 1 })
  expect([...open, connect('a'), connect('b')].map(({ destroyed }) => destroyed)).toEqual([false, false, true, false])
})
