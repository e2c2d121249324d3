import { describe, expect, test } from '@jest/globals'
import {
  choice,
  cidrList,
  flag,
  integer,
  milliseconds,
  number,
  path,
  seconds,
  secret,
  secretList,
  secretText,
  text,
  textual,
  textualList,
} from './kinds.ts'
import type { Setting } from './setting.ts'
import { url } from './url-setting.ts'

const help = ''
const refused = Symbol('refused')

function read(setting: Setting<unknown>, given: string): unknown {
  const parsed = setting.parser.safeParse(given)
  return parsed.success ? parsed.data : refused
}

const http = url({ help, protocols: ['http:', 'https:'] })
const origin = url({ help, protocols: ['http:'], without: ['credentials', 'path', 'query'] })
const redis = url({ help, protocols: ['redis:', 'unix:'] })

describe.each<[string, Setting<unknown>, ReadonlyArray<readonly [string, unknown]>]>([
  [
    'an integer',
    integer({ help, min: -1, max: 10 }),
    [
      ['10', 10],
      ['-1', -1],
      ['-2', refused],
      ['11', refused],
      ['1.5', refused],
      ['1e1', refused],
      ['0x5', refused],
      ['5 5', refused],
    ],
  ],
  ['an unlimited integer', integer({ help }), [['9007199254740993', refused]]],
  [
    'a number',
    number({ help, min: 0, max: 1 }),
    [
      ['0.25', 0.25],
      ['.5', refused],
      ['NaN', refused],
      ['1.01', refused],
    ],
  ],
  [
    'seconds',
    seconds({ help, min: 0.5 }),
    [
      ['0.5', 0.5],
      ['0.4', refused],
      ['60s', refused],
      ['99999999', refused],
    ],
  ],
  [
    'milliseconds',
    milliseconds({ help }),
    [
      ['0', 0],
      ['1.5', refused],
      ['2147483648', refused],
    ],
  ],
  [
    'a flag',
    flag({ help }),
    [
      ['TRUE', true],
      ['on', true],
      ['0', false],
      ['no', false],
      ['maybe', refused],
    ],
  ],
  [
    'a choice',
    choice(['open', 'closed'], { help }),
    [
      ['Open', 'open'],
      ['ajar', refused],
    ],
  ],
  [
    'text',
    text({ help, pattern: /^a/ }),
    [
      ['abc', 'abc'],
      ['bc', refused],
      ['a\nb', refused],
    ],
  ],
  [
    'a path',
    path({ help }),
    [
      ['./a b', './a b'],
      ['a\u0000b', refused],
    ],
  ],
  [
    'a secret',
    secret({ help }),
    [
      ['a+b/c==', 'a+b/c=='],
      ['a b', refused],
      ['a\nb', refused],
      ['é', refused],
    ],
  ],
  [
    'a secret text',
    secretText({ help }),
    [
      ['für mich: a', 'für mich: a'],
      ['a\nb', refused],
    ],
  ],
  [
    'text by rules of the program',
    textual({ help, allowed: 'a pair', read: (given) => /^(.)-(.)$/.exec(given)?.slice(1) }),
    [
      ['a-b', ['a', 'b']],
      ['ab', refused],
    ],
  ],
  [
    'a list by rules of the program',
    textualList({ help, allowed: 'a word', read: (item) => (item === 'no' ? undefined : [item, `${item}!`]) }),
    [
      ['a, b,,a', ['a', 'a!', 'b', 'b!']],
      ['a,no', refused],
    ],
  ],
  [
    'a list of secrets',
    secretList({ help }),
    [
      ['a,, b\na', ['a', 'b']],
      ['a,b b', refused],
      ['a,"b"', refused],
      ['"a', refused],
    ],
  ],
  [
    'a URL of a host alone',
    origin,
    [
      ['http://host:8080/', 'http://host:8080'],
      ['http://user@host', refused],
      ['http://host/base', refused],
      ['http://host?a=b', refused],
    ],
  ],
  [
    'a URL',
    http,
    [
      ['https://ipinfo.io/', 'https://ipinfo.io'],
      ['HTTP://127.0.0.1:3000/base//', 'HTTP://127.0.0.1:3000/base'],
      ['ipinfo.io', refused],
      ['ftp://ipinfo.io', refused],
      ['https:ipinfo.io', refused],
      ['https://', refused],
      ['https://host:0', refused],
      ['https://ho st', refused],
      ['https://host/#part', refused],
      ['https://user:100%@host', refused],
    ],
  ],
  [
    'a Redis URL',
    redis,
    [
      ['redis://localhost:6379/2', 'redis://localhost:6379/2'],
      ['unix:/run/redis.sock', 'unix:/run/redis.sock'],
      ['redis:///2', refused],
      ['unix:', refused],
    ],
  ],
  [
    'a list of blocks',
    cidrList({ help }),
    [
      ['192.0.2.1, 10.0.0.0/8,,', ['192.0.2.1/32', '10.0.0.0/8']],
      ['::1,fd00::/8', ['::1/128', 'fd00::/8']],
      ['Loopback', ['127.0.0.0/8', '::1/128']],
      ['private', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']],
      ['private,uniquelocal,10.0.0.0/8', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']],
      ['linklocal', ['169.254.0.0/16', 'fe80::/10']],
      ['10.0.0.0/33', refused],
      ['::/129', refused],
      ['10.0.0.0/', refused],
      ['10.0.0.0/08', refused],
      ['10.0.0.0/8/8', refused],
      ['10.0.0.0/255.0.0.0', refused],
      ['10.1', refused],
      ['0177.0.0.1', refused],
      ['fe80::1%eth0', refused],
      ['true', refused],
    ],
  ],
])('%s', (_, setting, cases) => {
  test.each(cases)('reads %j as %p', (given, expected) => {
    expect(read(setting, given)).toEqual(expected)
  })
})

test('a default list of blocks may be written in words', () => {
  expect(cidrList({ help, default: ['loopback'] }).presence).toEqual({
    kind: 'default',
    value: ['127.0.0.0/8', '::1/128'],
  })
})

test('a secret text is a secret: never shown, and scrubbed from logs', () => {
  expect(secretText({ help })).toMatchObject({ secret: true })
  expect(secretText({ help }).secretsIn('a b')).toEqual(['a b'])
})

test.each([
  ['redis://:p%40ss@host/0', ['p%40ss', 'p@ss']],
  ['redis://user:a:b@host', ['a:b', 'a%3Ab']],
  ['redis://user:p@ss@host', ['p@ss', 'p%40ss']],
  ['http://token@host', ['token']],
  ['http://user:%ff@host', ['%ff']],
  ['http://host/a@b', []],
])('the secrets of %s are its password in every spelling', (given, expected) => {
  expect(http.secretsIn(given)).toEqual(expected)
})
