import { describe, expect, test } from '@jest/globals'
import type { IncomingHttpHeaders } from 'node:http'
import { quotaOf } from './quota-headers.ts'
import type { ReplyQuota } from './reply.ts'

const nowMs = Date.UTC(2026, 0, 5, 12, 0, 0)
const inNinetySeconds = nowMs / 1000 + 90

describe('the quota that a reply tells', () => {
  test.each<[string, IncomingHttpHeaders, ReplyQuota]>([
    [
      'X-RateLimit, seconds to the reset',
      { 'x-ratelimit-limit': '1000', 'x-ratelimit-remaining': '991', 'x-ratelimit-reset': '3600' },
      { limit: 1000, remaining: 991, resetSeconds: 3600 },
    ],
    [
      'X-RateLimit, the moment of the reset',
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(inNinetySeconds) },
      { remaining: 0, resetSeconds: 90 },
    ],
    [
      'the moment by the clock of its sender, an hour behind ours',
      {
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset': String(inNinetySeconds - 3600),
        date: new Date(nowMs - 3_600_000).toUTCString(),
      },
      { remaining: 0, resetSeconds: 90 },
    ],
    [
      'the moment in milliseconds',
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(inNinetySeconds * 1000) },
      { remaining: 0, resetSeconds: 90 },
    ],
    [
      'a moment that is past',
      { 'x-ratelimit-remaining': '5', 'x-ratelimit-reset': String(nowMs / 1000 - 5) },
      { remaining: 5, resetSeconds: 0 },
    ],
    [
      'a fraction of a second',
      { 'x-ratelimit-remaining': '5', 'x-ratelimit-reset': '7.5' },
      { remaining: 5, resetSeconds: 7 },
    ],
    ['what is left alone', { 'x-ratelimit-remaining': '5' }, { remaining: 5 }],
    [
      'a limit with its windows behind it',
      { 'x-ratelimit-limit': '100, 100;w=60', 'x-ratelimit-remaining': '5' },
      { limit: 100, remaining: 5 },
    ],
    [
      'RateLimit-Limit and so on, of the draft up to version 6',
      { 'ratelimit-limit': '10', 'ratelimit-remaining': '9', 'ratelimit-reset': '4' },
      { limit: 10, remaining: 9, resetSeconds: 4 },
    ],
    [
      'RateLimit of version 7',
      { ratelimit: 'limit=10, remaining=9, reset=4', 'ratelimit-policy': '10;w=60' },
      { limit: 10, remaining: 9, resetSeconds: 4 },
    ],
    [
      'RateLimit as a structured field',
      { ratelimit: '"default";r=50;t=30', 'ratelimit-policy': '"default";q=100;w=60' },
      { limit: 100, remaining: 50, resetSeconds: 30 },
    ],
    ['the same without a policy', { ratelimit: '"default";r=50;t=30' }, { remaining: 50, resetSeconds: 30 }],
    ['the same without a time', { ratelimit: '"default"; r=50' }, { remaining: 50 }],
    [
      'of several windows the one with the least left',
      {
        ratelimit: '"day";r=900;t=4000, "burst";r=2;t=3',
        'ratelimit-policy': '"day";q=1000;w=86400, "burst";q=10;w=5',
      },
      { limit: 10, remaining: 2, resetSeconds: 3 },
    ],
    [
      'no windows of bytes',
      {
        ratelimit: '"bytes";r=1;t=9, "calls";r=20;t=3',
        'ratelimit-policy': '"bytes";q=9;qu="content-bytes";w=5, "calls";q=30;w=5',
      },
      { limit: 30, remaining: 20, resetSeconds: 3 },
    ],
    ['a name with a comma in it', { ratelimit: '"a, b;c";r=5;t=3' }, { remaining: 5, resetSeconds: 3 }],
    ['X-Rl and X-Ttl', { 'x-rl': '44', 'x-ttl': '58' }, { remaining: 44, resetSeconds: 58 }],
    [
      'the standard field rather than others',
      { ratelimit: '"default";r=50;t=30', 'x-ratelimit-remaining': '7', 'x-rl': '3' },
      { remaining: 50, resetSeconds: 30 },
    ],
  ])('%s', (_, headers, quota) => {
    expect(quotaOf(headers, nowMs)).toEqual(quota)
  })

  test.each<[string, IncomingHttpHeaders]>([
    ['no fields', {}],
    ['Retry-After alone, which says nothing of what is left', { 'retry-after': '60' }],
    ['a limit alone', { 'x-ratelimit-limit': '100' }],
    ['words', { 'x-ratelimit-remaining': 'plenty' }],
    ['a negative number', { 'x-ratelimit-remaining': '-5' }],
    ['a number that cannot be exact', { 'x-ratelimit-remaining': '99999999999999999999' }],
    ['an empty field', { 'x-ratelimit-remaining': '', ratelimit: '' }],
    ['a structured field without what is left', { ratelimit: '"default";t=30' }],
    ['nonsense', { ratelimit: ',;=="' }],
    ['a window of bytes alone', { ratelimit: '"b";r=1', 'ratelimit-policy': '"b";q=9;qu="content-bytes"' }],
  ])('is not told by %s', (_, headers) => {
    expect(quotaOf(headers, nowMs)).toBeUndefined()
  })

  test('a long senseless field takes no time', () => {
    const before = process.threadCpuUsage()
    expect(quotaOf({ ratelimit: `${'"a";'.repeat(5000)}${'",'.repeat(5000)}` }, nowMs)).toBeUndefined()
    expect(process.threadCpuUsage(before).user / 1000).toBeLessThan(500)
  })
})
