import { expect, test } from '@jest/globals'
import { type ConnectFailure, connectFailure } from './connect-failure.ts'

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
