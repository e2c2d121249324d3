import { expect, test } from '@jest/globals'
import { loadSettings } from '@ipfleet/settings/load-settings.ts'
import { redisSettings, redisUrl } from './redis-settings.ts'

const schema = { REDIS_URL: redisUrl({ help: 'Redis' }), ...redisSettings() }
const load = (env: Record<string, string>) =>
  loadSettings(schema, { program: 'p', summary: '', argv: [], env, cwd: '/' })

test.each([
  'redis://h',
  'redis://h/',
  'redis://h:6380/3',
  'rediss://user:p%40ss%2Fword%25@h/0',
  'redis://:p@ss@h',
  'redis://[::1]:6379/1',
])('%s is taken', (url) => {
  expect(load({ REDIS_URL: url }).kind).toBe('settings')
})

test.each([
  ['redis://:100%canary@h', 'written %25'],
  ['redis://:p@canary/word@h', 'written %2F'],
  ['redis://:canary?x@h', '[?] %3F'],
  ['redis://:canary#x@h', '# %23'],
  ['redis://h/abc', 'number of a database'],
  ['redis://h/-1', 'number of a database'],
  ['redis://h/1/2', 'number of a database'],
  ['redis://h/1?db=2', 'query'],
  ['redis://h:0', 'no port 0'],
  ['redis://h:65536', 'a URL that starts with'],
  ['redis://:canary x@h', 'blank'],
  ['"redis://:canary@h"', 'quotes'],
  ["'redis://:canary@h'", 'quotes'],
  ['redis://', 'a URL that starts with'],
])('%s is refused with a reason that holds no secret', (url, reason) => {
  const loaded = load({ REDIS_URL: url })
  expect(loaded).toMatchObject({
    kind: 'faults',
    faults: [{ name: 'REDIS_URL', message: expect.stringMatching(reason) }],
  })
  expect(JSON.stringify(loaded)).not.toContain('canary')
})

test.each(['blue', 'ip-fleet.eu_2', '7'])('the name %s is taken', (prefix) => {
  expect(load({ REDIS_URL: 'redis://h', REDIS_PREFIX: prefix }).kind).toBe('settings')
})

test.each(['a:b', 'a b', 'a*', '{a}', 'a'.repeat(65), '"blue"'])('the name %s is refused', (prefix) => {
  expect(load({ REDIS_URL: 'redis://h', REDIS_PREFIX: prefix }).kind).toBe('faults')
})
