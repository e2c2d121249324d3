import { once } from 'node:events'
import { Socket } from 'node:net'
import { expect, test } from '@jest/globals'
import type { CheckVerdict, Source } from './source-pool.ts'
import { SourceConnections, SourceLost } from './source-connections.ts'

const good: CheckVerdict = { kind: 'good' }

function opened(connections: SourceConnections, address: string, listedAs = address): Socket {
  const socket = new Socket()
  const source: Source = { address, family: 4, listedAs }
  connections.add(source, socket)
  return socket
}

test('the connections of an address end with a failure that says why, and no others', async () => {
  const connections = new SourceConnections(async () => good)
  const [first, second, other] = ['192.0.2.1', '192.0.2.1', '192.0.2.2'].map((one) => opened(connections, one))
  const failures = [first, second].map((socket) => socket && once(socket, 'error'))
  connections.end('192.0.2.1')
  for (const failure of failures) expect((await failure)?.[0]).toBeInstanceOf(SourceLost)
  expect(other?.destroyed).toBe(false)
})

test('one address of an IPv4 prefix whose addresses take turns one by one ends alone', () => {
  const connections = new SourceConnections(async () => good)
  const sockets = ['192.0.2.1', '192.0.2.2'].map((one) =>
    opened(connections, one, '192.0.2.0/29').on('error', () => {}),
  )
  connections.end('192.0.2.1')
  expect(sockets.map(({ destroyed }) => destroyed)).toEqual([true, false])
})

test('of a prefix, only the connections end whose own address is gone', async () => {
  const connections = new SourceConnections(async ({ address }) =>
    address === '2001:db8::1' ? { kind: 'not_ours' } : good,
  )
  const [gone, kept] = ['2001:db8::1', '2001:db8::2'].map((one) => opened(connections, one, '2001:db8::/64'))
  const failed = gone && once(gone, 'error')
  connections.end('2001:db8::/64')
  await failed
  expect([gone?.destroyed, kept?.destroyed]).toEqual([true, false])
})

test('a connection that has closed is forgotten', async () => {
  const checked: string[] = []
  const connections = new SourceConnections(async ({ address }) => {
    checked.push(address)
    return good
  })
  const socket = opened(connections, '2001:db8::1', '2001:db8::/64')
  const closed = once(socket, 'close')
  socket.destroy()
  await closed
  connections.end('2001:db8::/64')
  expect(checked).toEqual([])
})

test('they are counted by what the pool lists, as long as they are open', async () => {
  const connections = new SourceConnections(async () => good)
  const [first] = ['192.0.2.1', '192.0.2.1', '192.0.2.2'].map((one) => opened(connections, one, '192.0.2.0/29'))
  opened(connections, '198.51.100.1')
  const counts = (): number[] =>
    ['192.0.2.0/29', '198.51.100.1', '192.0.2.1'].map((item) => connections.counts().of(item))
  expect(counts()).toEqual([3, 1, 0])
  const closed = first && once(first, 'close')
  first?.destroy()
  await closed
  expect(counts()).toEqual([2, 1, 0])
})
