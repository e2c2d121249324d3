import { expect, test } from '@jest/globals'
import { type FromWorker, decoded, encoded } from './messages.ts'

test('what was encoded is decoded as it was', () => {
  const message: FromWorker = { kind: 'ready', host: '127.0.0.1', port: 8080 }
  expect(decoded(structuredClone(encoded(message)))).toEqual({ kind: 'message', message })
})

test.each([
  ['of another version', { ipfleet: 0, message: { kind: 'hello' } }],
  ['of a kind that this version does not have', { ...encoded({ kind: 'hello' }), message: { kind: 'greetings' } }],
  ['named like a property of every object', { ...encoded({ kind: 'hello' }), message: { kind: 'toString' } }],
  ['without a message', { ...encoded({ kind: 'hello' }), message: undefined }],
])('a message %s is incompatible', (_what, received) => {
  expect(decoded(received)).toEqual({ kind: 'incompatible' })
})

test.each([[undefined], [null], ['hello'], [{ cmd: 'NODE_CLUSTER' }]])('%j is not of this language', (received) => {
  expect(decoded(received)).toEqual({ kind: 'other' })
})
