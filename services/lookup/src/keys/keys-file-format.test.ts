import { apiKey } from '@ipfleet/key-pool/api-key.ts'
import { describe, expect, test } from '@jest/globals'
import { KeysFileError, parseKeysFile, unionOf } from './keys-file-format.ts'

describe('a file of keys', () => {
  test('has a key on each line, with what is to be known of it', () => {
    const text = '\uFEFF# ours\nkey-one\r\n\n  key-two  weight=2.5\tgroup=acme \nkey-three group=acme\n'
    expect(parseKeysFile(text)).toEqual([
      apiKey('key-one'),
      { ...apiKey('key-two'), weight: 2.5, group: 'acme' },
      { ...apiKey('key-three'), group: 'acme' },
    ])
  })

  test.each([
    ['nothing', '', 'it holds no keys'],
    ['comments only', '# one\n\n', 'it holds no keys'],
    ['a key that HTTP cannot carry', 'good\nschlüssel', 'line 2: a key is visible ASCII characters'],
    ['a weight that is none', 'k1 weight=many', 'line 1: a weight is a number above 0, below 10000'],
    ['a weight of nothing', 'k1 weight=0', 'line 1: a weight is a number above 0, below 10000'],
    ['a negative weight', 'k1 weight=-1', 'line 1: a weight is a number above 0, below 10000'],
    ['an empty weight', 'k1 weight=', 'line 1: a weight is a number above 0, below 10000'],
    ['a group without a name', 'k1 group=', 'line 1: a group is up to 64 letters, digits, dots, dashes'],
    ['another key on the same line', 'k1 secret-two', 'line 1: after the key come weight=… and group=… only'],
    ['the same key twice', 'k1\n#\nk1 weight=2', 'line 3 repeats the key of line 1'],
  ])('is refused with %s', (_, text, message) => {
    expect(() => parseKeysFile(text)).toThrow(new KeysFileError(message))
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
