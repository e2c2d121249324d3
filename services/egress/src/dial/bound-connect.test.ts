import type { Socket } from 'node:net'
import { expect, test } from '@jest/globals'
import { monotonicClock } from '@ipfleet/core/clock.ts'
import type { CheckVerdict, Source } from '../sources/source-pool.ts'
import { SourceConnections } from '../sources/source-connections.ts'
import { BoundConnect, type ConnectEnd, type ConnectFailure, connectFailure } from './bound-connect.ts'
import { LocalPorts } from './local-ports.ts'

test.each<[string, string, ConnectFailure]>([
  ['EADDRINUSE', 'bind', 'port_taken'],
  ['EADDRINUSE', 'connect', 'port_taken'],
  ['EADDRNOTAVAIL', 'connect', 'port_taken'],
  ['EADDRNOTAVAIL', 'bind', 'not_ours'],
  ['EAFNOSUPPORT', 'bind', 'not_ours'],
  ['EINVAL', 'bind', 'not_ours'],
  ['EMFILE', 'bind', 'own_lack'],
  ['EMFILE', 'connect', 'own_lack'],
  ['ENOBUFS', 'connect', 'own_lack'],
  ['ECONNREFUSED', 'connect', 'target_failed'],
  ['ECONNRESET', 'connect', 'target_failed'],
  ['ETIMEDOUT', 'connect', 'target_failed'],
  ['ENETUNREACH', 'connect', 'target_failed'],
  ['EHOSTUNREACH', 'connect', 'target_failed'],
  ['EINVAL', 'connect', 'target_failed'],
])('%s from %s means %s', (code, syscall, failure) => {
  expect(connectFailure(Object.assign(new Error('x'), { code, syscall }))).toBe(failure)
})

test('an error that is none of the system says nothing of the source', () => {
  expect(connectFailure(new Error('x'))).toBe('target_failed')
})

/** `connect` fails as Linux lets it where there is no route. */
class NoRoute extends SourceConnections {
  override add(_source: Source, socket: Socket): void {
    socket.destroy(Object.assign(new Error('no route'), { code: 'ENETUNREACH', syscall: 'connect' }))
  }
}

test.each<[string, CheckVerdict, ConnectEnd]>([
  ['is still there is the target’s failure', { kind: 'good' }, { kind: 'target_failed', code: 'ENETUNREACH' }],
  ['was removed after it was bound is the source’s', { kind: 'not_ours' }, { kind: 'not_ours' }],
])('no route from a source that %s', async (_what, verdict, end) => {
  const deps = { ports: LocalPorts.ofSystem(), clock: monotonicClock, connections: new NoRoute(async () => verdict) }
  const source = { address: '127.0.0.2', family: 4, listedAs: '127.0.0.2' } as const
  const route = { source, address: '127.0.0.1', port: 9, onread: undefined }
  expect(await new Promise((resolve) => new BoundConnect(deps, route, resolve))).toEqual(end)
})
