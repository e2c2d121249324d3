import { expect, test } from '@jest/globals'
import { nearName } from './near-name.ts'

const known = ['PORT', 'HOST', 'REDIS_URL', 'CACHE_TTL_SECONDS']

test.each([
  ['PROT', 'PORT'],
  ['POT', 'PORT'],
  ['REDISURL', 'REDIS_URL'],
  ['REDIS_URI', 'REDIS_URL'],
  ['CACHE_TLL_SECOND', 'CACHE_TTL_SECONDS'],
])('%s probably means %s', (given, meant) => {
  expect(nearName(given, known)).toBe(meant)
})

test.each([['PATH'], ['PORT'], ['CACHE_SECONDS'], ['REDIS'], ['']])('%s means nothing that is known', (given) => {
  expect(nearName(given, known)).toBeUndefined()
})
