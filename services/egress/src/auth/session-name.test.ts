import { describe, expect, test } from '@jest/globals'
import { readAnySessionName, readSessionName } from './session-name.ts'

const isUser = (name: string) => ['test', 'test-two', 'other'].includes(name)
const read = (name: string) => readSessionName(name, isUser)

test.each([
  ['test', 'test'],
  ['test-two', 'test-two'],
])('%s alone is %s without a session', (name, user) => {
  expect(read(name)).toEqual({ kind: 'name', user, session: undefined, source: undefined })
})

test.each([
  ['test-session-abc', 'test/abc', undefined, false],
  ['test-sessid-abc', 'test/abc', undefined, false],
  ['test-two-session-A_1', 'test-two/A_1', undefined, false],
  ['test-session-abc-ttl-90', 'test/abc', 90, false],
  ['test-ttl-90-session-abc', 'test/abc', 90, false],
  ['test-sessid-abc-sesstime-10', 'test/abc', 600, false],
  ['test-hard-session-abc', 'test/abc', undefined, true],
  ['test-session-abc-ttl-5-hard', 'test/abc', 5, true],
  ['test-session-hard', 'test/hard', undefined, false],
  [`test-session-${'x'.repeat(64)}`, `test/${'x'.repeat(64)}`, undefined, false],
  ['test-session-a-ttl-2592000', 'test/a', 2_592_000, false],
  ['test-session-a-sesstime-43200', 'test/a', 2_592_000, false],
])('%s asks for the session %s', (name, id, ttlSeconds, hard) => {
  expect(read(name)).toMatchObject({ kind: 'name', session: { id, ttlSeconds, hard } })
})

test.each([
  ['test-ip-192.0.2.1', '192.0.2.1', undefined],
  ['test-ip-2001_DB8__1', '2001:db8::1', undefined],
  ['test-ip-__ffff_192.0.2.1', '192.0.2.1', undefined],
  ['test-ip-192.0.2.1-session-a', '192.0.2.1', 'test/a'],
  ['test-session-a-ip-192.0.2.1', '192.0.2.1', 'test/a'],
  ['test-ip-2001:db8::1', '2001:db8::1', undefined],
  ['test-ip-de-1', 'de-1', undefined],
  ['test-ip-de_1', 'de_1', undefined],
  ['test-session-a-ip-de-1', 'de-1', 'test/a'],
])('%s chooses %s', (name, source, id) => {
  expect(read(name)).toMatchObject({ kind: 'name', source, ...(id && { session: { id } }) })
})

test('two users with the same id have two sessions', () => {
  expect(read('test-session-1')).not.toMatchObject({ session: { id: 'other/1' } })
  expect(read('other-session-1')).toMatchObject({ session: { id: 'other/1' } })
})

test.each(['', '-', 'nobody', 'Test', 'tes', 'testing', 'test_session_a', 'nobody-session-a', '-session-a'])(
  '%j begins with nobody who is known',
  (name) => {
    expect(read(name)).toEqual({ kind: 'unknown_user' })
  },
)

test('a name without end is nobody, and costs nothing', () => {
  expect(read(`test${'-'.repeat(1_000_000)}`)).toEqual({ kind: 'unknown_user' })
})

describe('a bad option is told with its reason:', () => {
  test.each([
    ['test-', 'option "" is not known'],
    ['test-ip', 'an ip is an address, or the label of a parent'],
    ['test-ip-', 'an ip is an address, or the label of a parent'],
    ['test-ip-a b', 'an ip is an address, or the label of a parent'],
    ['test-ip-192.0.2.1-ip-192.0.2.2', 'the ip is there twice'],
    ['test-ip-192.0.2.1-hard', 'there are options for a session, but no session'],
    ['test-country-us', 'option "country" is not known'],
    ['test-session-a-country-us', 'option "country" is not known'],
    ['test-Session-a', 'option "Session" is not known'],
    ['test-session-a-', 'option "" is not known'],
    ['test-session', 'a session is 1 to 64 letters, digits and underscores'],
    ['test-session-', 'a session is 1 to 64 letters, digits and underscores'],
    ['test-session-ü', 'a session is 1 to 64 letters, digits and underscores'],
    ['test-session-a.b', 'a session is 1 to 64 letters, digits and underscores'],
    [`test-session-${'x'.repeat(65)}`, 'a session is 1 to 64 letters, digits and underscores'],
    ['test-session-a-sessid-b', 'the session is there twice'],
    ['test-session-a-ttl', 'ttl: whole seconds from 1 to 2592000'],
    ['test-session-a-ttl-0', 'ttl: whole seconds from 1 to 2592000'],
    ['test-session-a-ttl-1.5', 'ttl: whole seconds from 1 to 2592000'],
    ['test-session-a-ttl-1e3', 'ttl: whole seconds from 1 to 2592000'],
    ['test-session-a-ttl-2592001', 'ttl: whole seconds from 1 to 2592000'],
    ['test-session-a-ttl--5', 'ttl: whole seconds from 1 to 2592000'],
    ['test-session-a-sesstime-43201', 'sesstime: whole minutes from 1 to 43200'],
    ['test-session-a-ttl-5-sesstime-5', 'the time of the session is there twice'],
    ['test-session-a-hard-hard', 'hard is there twice'],
    ['test-hard', 'there are options for a session, but no session'],
    ['test-ttl-60', 'there are options for a session, but no session'],
  ])('%s: %s', (name, detail) => {
    expect(read(name)).toEqual({ kind: 'bad_option', user: 'test', detail })
  })
})

describe('where everybody is let in, the user is what stands before the first option', () => {
  test.each([
    ['any-body', 'any-body', undefined],
    ['', '', undefined],
    ['any-body-session-a', 'any-body', 'any-body/a'],
    ['any-hardy-session-a', 'any-hardy', 'any-hardy/a'],
    ['-session-a', '', '/a'],
  ])('%s: %s', (name, user, id) => {
    expect(readAnySessionName(name)).toEqual({
      kind: 'name',
      user,
      session: id === undefined ? undefined : { id, ttlSeconds: undefined, hard: false },
      source: undefined,
    })
  })

  test('and bad options are told there too', () => {
    expect(readAnySessionName('any-ttl-x')).toMatchObject({ kind: 'bad_option' })
  })
})
