import { expect, test } from '@jest/globals'
import { offlineSettings } from './offline-settings.ts'

const { parser } = offlineSettings.OFFLINE_DB_URL

test.each(['https://example.com/a.mmdb', 'https://10.0.0.1/a?edition=1', 'http://localhost:81/a', 'http://[::1]/a'])(
  'a database may be downloaded from %s',
  (given) => expect(parser.parse(given)).toBe(given),
)

test.each([
  ['http://example.com/a', 'http is for this machine only; use https'],
  ['http://127.0.0.1.example.com/a', 'http is for this machine only; use https'],
  [
    'https://example.com/a?token=private',
    'a token in it would be seen; set OFFLINE_DB_TOKEN, which is sent in a header',
  ],
  ['https://example.com/a?license_key=private', 'a license_key in it would be seen; set OFFLINE_DB_TOKEN'],
  ['https://user:private@example.com/a', 'a user or password in it is not used'],
])('not from %s, and the reason holds no secret', (given, reason) => {
  const { error } = parser.safeParse(given)
  expect(error?.issues[0]?.message).toContain(reason)
  expect(error?.issues[0]?.message).not.toContain('private')
})
