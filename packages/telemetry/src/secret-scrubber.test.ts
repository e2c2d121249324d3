import { expect, test } from '@jest/globals'
import { SecretScrubber } from './secret-scrubber.ts'

const secret = 'canary+key/ü"9'
const scrubber = new SecretScrubber([secret])

test.each([
  ['as it is', secret],
  ['within JSON', JSON.stringify({ deep: { url: secret } })],
  ['URL-encoded', `/8.8.8.8?token=${encodeURIComponent(secret)}`],
  ['URL-encoded in lower case', `?token=${encodeURIComponent(secret).toLowerCase()}`],
  ['as the user of Basic', `Basic ${Buffer.from(`${secret}:`).toString('base64')}`],
  ['as the password of Basic', `Basic ${Buffer.from(`ab:${secret}`).toString('base64')}`],
  ['behind any other user', `Basic ${Buffer.from(`abc:${secret}`).toString('base64')}`],
  ['in base64url', Buffer.from(`x${secret}x`).toString('base64url')],
])('a secret is removed %s', (_how, text) => {
  const scrubbed = scrubber.scrub(text)
  expect(scrubbed).toContain('[redacted]')
  expect(scrubbed).not.toMatch(/canary|Y2FuYXJ5|NhbmFye|jYW5hcn/)
})

test('every occurrence is removed', () => {
  expect(scrubber.scrub(`${secret} and ${secret}`)).toBe('[redacted] and [redacted]')
})

test('text without a secret stays as it is', () => {
  expect(scrubber.scrub('GET /8.8.8.8 200')).toBe('GET /8.8.8.8 200')
})

test('a secret added later is removed from then on', () => {
  const growing = new SecretScrubber()
  expect(growing.scrub('late-secret')).toBe('late-secret')
  growing.add(['late-secret', 'another-one'])
  expect(growing.scrub('late-secret another-one')).toBe('[redacted] [redacted]')
})

test('of two secrets that begin alike none leaves a rest behind', () => {
  expect(new SecretScrubber(['abcdef', 'abcdefgh']).scrub('abcdefgh')).toBe('[redacted]')
})

test('an empty or tiny secret does not eat the log', () => {
  expect(new SecretScrubber(['', 'a', 'abc']).scrub('abc')).toBe('abc')
})
