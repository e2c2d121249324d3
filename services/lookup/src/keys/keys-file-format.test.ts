import { apiKey } from '@ipfleet/key-pool/api-key.ts'
import { describe, expect, test } from '@jest/globals'
import { parseKeysFile, unionOf } from './keys-file-format.ts'

describe('a file of keys', () => {
  test('has a key on each line, with what is to be known of it', () => {
    const text = '\uFEFF# ours\nkey-one\r\n\n  key-two  weight=2.5\tgroup=acme \nkey-three group=acme\n'
    expect(parseKeysFile(text)).toEqual([
      apiKey('key-one'),
      { ...apiKey('key-two'), weight: 2.5, group: 'acme' },
      { ...apiKey('key-three'), group: 'acme' },
    ])
  })

  test('takes keys that end as base64 does', () => {
    expect(parseKeysFile('a2V5==\n')).toEqual([apiKey('a2V5==')])
  })

  test('may tell what a key is allowed, and what it may cost', () => {
    expect(parseKeysFile('k1 products=core,privacy overage=pay max_per_day=1000 provider=ipasis')).toEqual([
      { ...apiKey('k1'), products: ['core', 'privacy'], overage: 'pay', maxPerDay: 1000, provider: 'ipasis' },
    ])
  })

  test.each<[string, string, unknown]>([
    ['nothing', '', 'holds no keys'],
    ['comments only', '# one\n\n', 'holds no keys'],
    ['a key that HTTP cannot carry', 'good\nschlüssel', 'line 2: a key is visible ASCII characters'],
    ['a weight that is none', 'k1 weight=many', 'line 1: weight is a number above 0, below 10000'],
    ['a weight of nothing', 'k1 weight=0', 'line 1: weight is a number above 0, below 10000'],
    ['a negative weight', 'k1 weight=-1', 'line 1: weight is a number above 0, below 10000'],
    ['an empty weight', 'k1 weight=', 'line 1: weight is a number above 0, below 10000'],
    ['a group without a name', 'k1 group=', 'line 1: group is up to 64 letters, digits, dots, dashes'],
    [
      'another key on the same line',
      'k1 secret-two',
      expect.stringMatching(/^line 1: after the key come weight=…, group=…, products=…/),
    ],
    [
      'a product that is none',
      'k1 products=core,privcy',
      expect.stringMatching(/^line 1: products is a list of .*core/),
    ],
    ['overage of another kind', 'k1 overage=yes', 'line 1: overage is pay or never'],
    ['no units in a day', 'k1 max_per_day=0', 'line 1: max_per_day is a whole number from 1'],
    ['a provider that is none', 'k1 provider=other', 'line 1: provider is ipinfo or ipasis'],
    ['the same key twice', 'k1\n#\nk1 weight=2', 'line 3 repeats the key of line 1'],
    ['a list', 'k1,k2', 'line 1: a key has no comma or semicolon in it'],
    ['a list with semicolons', 'k1;k2', 'line 1: a key has no comma or semicolon in it'],
    ['a URL', 'https://ipinfo.io?token=k1', 'line 1: a key is no URL'],
    ['a placeholder', '<your-key>', 'line 1: a key is written without quotes and brackets'],
    ['a variable', '${KEY_1}', 'line 1: a key is written without quotes and brackets'],
    ['another variable', '$KEY_1', expect.stringMatching(/^line 1: a key does not begin with \$/)],
    ['a setting', 'IPINFO_KEYS=k1', 'line 1: a key stands there by itself, without NAME='],
    ['what is told of a key alone', 'weight=2', 'line 1: a key stands there by itself, without NAME='],
    ['JSON', '["k1"]', 'line 1: a key is written without quotes and brackets'],
    ['quotes', "'k1'", 'line 1: a key is written without quotes and brackets'],
    [
      'several faults',
      'k1 weight=0\nk2\nk2',
      'line 1: weight is a number above 0, below 10000; line 3 repeats the key of line 2',
    ],
    ['faults everywhere', 'é\n'.repeat(9), expect.stringMatching(/^line 1: [^;]+; .*; line 5: [^;]+; and 4 more$/)],
  ])('is refused with %s', (_, text, message) => {
    expect(() => parseKeysFile(text)).toThrow(expect.objectContaining({ name: 'KeysFileError', message }))
  })

  test('no fault tells what stands on the line', () => {
    for (const text of [
      'canary-key canary-attribute',
      'canary-key weight=canary',
      'canary-key\ncanary-key',
      'canäry',
    ]) {
      expect(() => parseKeysFile(text)).toThrow(expect.objectContaining({ message: expect.not.stringMatching(/can/) }))
    }
  })
})

test('listed and filed keys are used together; of a key that is both, the file says more', () => {
  const filed = parseKeysFile('k2 weight=3\nk3')
  expect(unionOf(['k1', 'k2'], filed)).toEqual([apiKey('k1'), { ...apiKey('k2'), weight: 3 }, apiKey('k3')])
})
