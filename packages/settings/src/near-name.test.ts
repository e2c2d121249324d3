import { expect, test } from '@jest/globals'
import { nearName } from './near-name.ts'

const known = ['PORT', 'HOST', 'REDIS_URL', 'CACHE_TTL_SECONDS', 'connect_timeout_ms']

test.each([
  ['PROT', 'PORT'],
  ['POT', 'PORT'],
  ['REDISURL', 'REDIS_URL'],
  ['REDIS_URI', 'REDIS_URL'],
  ['CACHE_TLL_SECOND', 'CACHE_TTL_SECONDS'],
  ['CACHE_TTL', 'CACHE_TTL_SECONDS'],
  ['CACHE_TTL_MS', 'CACHE_TTL_SECONDS'],
  ['connect_timeout', 'connect_timeout_ms'],
  ['connect_timeout_seconds', 'connect_timeout_ms'],
])('%s probably means %s', (given, meant) => {
  expect(nearName(given, known)).toBe(meant)
})

test.each([['PATH'], ['PORT'], ['TTL_SECONDS'], ['CACHE_SECONDS'], ['REDIS'], ['']])(
  '%s means nothing that is known',
  (given) => {
    expect(nearName(given, known)).toBeUndefined()
  },
)
