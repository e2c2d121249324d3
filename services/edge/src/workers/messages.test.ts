import { expect, test } from '@jest/globals'
import { type FromWorker, opened, sealed } from './messages.ts'

test('what was sealed is opened as it was', () => {
  const message: FromWorker = { kind: 'ready', host: '127.0.0.1', port: 8080 }
  expect(opened(structuredClone(sealed(message)))).toEqual({ kind: 'message', message })
})

test.each([
  ['of another version', { ipfleet: 0, message: { kind: 'hello' } }],
  ['of a kind that this version does not have', { ...sealed({ kind: 'hello' }), message: { kind: 'greetings' } }],
  ['named like a property of every object', { ...sealed({ kind: 'hello' }), message: { kind: 'toString' } }],
  ['without a message', { ...sealed({ kind: 'hello' }), message: undefined }],
])('a message %s is foreign', (_what, received) => {
  expect(opened(received)).toEqual({ kind: 'foreign' })
})

test.each([[undefined], [null], ['hello'], [{ cmd: 'NODE_CLUSTER' }]])('%j is nobody of this language', (received) => {
  expect(opened(received)).toEqual({ kind: 'other' })
})
