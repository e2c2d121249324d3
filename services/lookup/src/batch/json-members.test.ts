import { describe, expect, test } from '@jest/globals'
import { jsonMembers } from './json-members.ts'

const membersOf = (text: string): [string, string][] => [...(jsonMembers(text) ?? [])]

describe('the members of a JSON object', () => {
  test.each([
    ['{}', []],
    [' { } ', []],
    ['{"a":1}', [['a', '1']]],
    [
      '{"a": "", "b": null}',
      [
        ['a', '""'],
        ['b', 'null'],
      ],
    ],
    [
      '{\n  "a": {\n    "b": [1, 2]\n  },\n  "c": true\n}',
      [
        ['a', '{\n    "b": [1, 2]\n  }'],
        ['c', 'true'],
      ],
    ],
    [
      '{"a":{"x":"}]\\"{,"},"b":[[],{}]}',
      [
        ['a', '{"x":"}]\\"{,"}'],
        ['b', '[[],{}]'],
      ],
    ],
    ['{"a:b,\\"c\\\\":1}', [['a:b,"c\\', '1']]],
    [
      '{"\\u0061":1,"__proto__":{}}',
      [
        ['a', '1'],
        ['__proto__', '{}'],
      ],
    ],
    ['{"a":1,"a":2}', [['a', '2']]],
  ])('of %s', (text, members) => {
    expect(membersOf(text)).toEqual(members)
  })

  test('keep the digits of their numbers and the order of their keys', () => {
    expect(membersOf('{"a":{"10":1.0,"2":79228162514264337593543950336}}')).toEqual([
      ['a', '{"10":1.0,"2":79228162514264337593543950336}'],
    ])
  })

  test('may be long strings', () => {
    const long = '\\"'.repeat(1_000_000)
    expect(membersOf(`{"a":"${long}"}`)).toEqual([['a', `"${long}"`]])
  })

  test.each(['[]', '["a"]', '"{}"', '1', 'null'])('are not to be had of %s', (text) => {
    expect(jsonMembers(text)).toBeUndefined()
  })
})
