import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { expect, test } from '@jest/globals'
import { furtherAttempt } from './further-attempt.ts'

const asked = (peer: string, headers: Record<string, string>): IncomingMessage => {
  const socket = new Socket()
  Object.defineProperty(socket, 'remoteAddress', { value: peer })
  return Object.assign(new IncomingMessage(socket), { headers })
}
const marked = { 'x-ipfleet-attempt': '2' }

test.each([
  ['a trusted proxy', '10.0.0.1', marked, true],
  ['a trusted proxy on a dual-stack listener', '::ffff:10.0.0.1', marked, true],
  ['a trusted proxy, at the first attempt', '10.0.0.1', {}, false],
  ['a stranger', '192.0.2.1', marked, false],
  ['a stranger who claims to come through a proxy', '192.0.2.1', { ...marked, 'x-forwarded-for': '10.0.0.1' }, false],
])('%s says so', (_who, peer, headers, is) => {
  expect(furtherAttempt({ trusted: ['10.0.0.0/8'] })(asked(peer, headers))).toBe(is)
})

test('without trusted proxies no client may say it', () => {
  expect(furtherAttempt({ trusted: [] })(asked('127.0.0.1', marked))).toBe(false)
})
