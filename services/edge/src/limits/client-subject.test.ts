import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import type { KeyExtractor } from '../config/edge-config.ts'
import { hashOfKey, subjectOf as subjectIn } from './client-subject.ts'

function asked(headers: Record<string, string | string[]> = {}, url = '/'): IncomingMessage {
  return Object.assign(new IncomingMessage(new Socket()), { headers, url })
}

const known = new Set(['secret', 'other', 'a', 'A', 'a, b', 't', 'k'].map(hashOfKey))
const subjectOf = (extractor: KeyExtractor, req: IncomingMessage, address: string): string =>
  subjectIn({ extractor, known }, req, address)

const byAddress = (address: string): string => subjectOf({ kind: 'client_ip' }, asked(), address)
const byToken = (req: IncomingMessage): string => subjectOf({ kind: 'token' }, req, '192.0.2.1')
const byField = (req: IncomingMessage): string => subjectOf({ kind: 'header', name: 'x-api-key' }, req, '192.0.2.1')

describe('by client_ip', () => {
  test('each IPv4 address counts by itself', () => {
    expect([byAddress('192.0.2.1'), byAddress('192.0.2.2')]).toEqual(['192.0.2.1', '192.0.2.2'])
  })

  test.each([
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff', true],
    ['2001:db8:1:2::1', '2001:db8:1:2::', true],
    ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
    ['2001:db8::1', '2001:db8:0:0:1::', true],
    ['::1', '::2', true],
    ['::1', '0:0:0:1::1', false],
  ])('IPv6 addresses count by their /64: %s and %s: %p', (one, other, isOne) => {
    expect(byAddress(one) === byAddress(other)).toBe(isOne)
  })

  test('what a client says of itself changes nothing', () => {
    const req = asked({ authorization: 'Bearer t', 'x-api-key': 'k' }, '/?token=t')
    expect(subjectOf({ kind: 'client_ip' }, req, '192.0.2.1')).toBe('192.0.2.1')
  })
})

describe('by token', () => {
  test('the same token counts as one client, wherever it stands and whoever brings it', () => {
    const subject = byToken(asked({ authorization: 'Bearer secret' }))
    expect(byToken(asked({}, '/8.8.8.8?token=secret'))).toBe(subject)
    expect(byToken(asked({ authorization: `Basic ${btoa('secret:')}` }))).toBe(subject)
    expect(subjectOf({ kind: 'token' }, asked({ authorization: 'Bearer secret' }), '192.0.2.2')).toBe(subject)
    expect(byToken(asked({ authorization: 'Bearer other' }))).not.toBe(subject)
  })

  test.each([{}, { authorization: 'Bearer ' }, { authorization: 'Digest x' }])(
    'without one, the address: %p',
    (headers) => {
      expect(byToken(asked(headers))).toBe('192.0.2.1')
      expect(subjectOf({ kind: 'token' }, asked(headers), '2001:db8::7')).toBe(byAddress('2001:db8::1'))
    },
  )
})

describe('by header', () => {
  test('the same value counts as one client', () => {
    expect(byField(asked({ 'x-api-key': 'a' }))).toBe(byField(asked({ 'x-api-key': 'a', other: 'b' })))
    expect(byField(asked({ 'x-api-key': 'a' }))).not.toBe(byField(asked({ 'x-api-key': 'A' })))
  })

  test('several values are one', () => {
    expect(byField(asked({ 'x-api-key': ['a', 'b'] }))).toBe(byField(asked({ 'x-api-key': 'a, b' })))
  })

  test('without it, or when it is empty, the address counts', () => {
    expect([byField(asked()), byField(asked({ 'x-api-key': '' }))]).toEqual(['192.0.2.1', '192.0.2.1'])
  })
})

test('invented tokens and values count as the address that brings them', () => {
  expect(byToken(asked({ authorization: 'Bearer invented' }))).toBe('192.0.2.1')
  expect(byField(asked({ 'x-api-key': 'invented' }))).toBe('192.0.2.1')
})

test('what may be a secret is not in the subject', () => {
  const subjects = [byToken(asked({ authorization: 'Bearer secret' })), byField(asked({ 'x-api-key': 'secret' }))]
  for (const subject of subjects) expect(subject).toMatch(/^[\da-f]{32}$/)
})
