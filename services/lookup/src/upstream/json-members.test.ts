import { describe, expect, test } from '@jest/globals'
import { jsonMembers } from './json-members.ts'

const membersOf = (text: string): [string, string][] | undefined => {
  const bytes = Buffer.from(text)
  const members = jsonMembers(bytes)
  return members && Array.from(members, ([name, { start, end }]) => [name, bytes.toString('utf8', start, end)])
}

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
      '{"\\u0061":1,"__proto__":{},"é€😀":"é€😀"}',
      [
        ['a', '1'],
        ['__proto__', '{}'],
        ['é€😀', '"é€😀"'],
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

  test.each(['[]', '["a"]', '"{}"', '1', 'null', '', ' '])('are not to be had of %j', (text) => {
    expect(membersOf(text)).toBeUndefined()
  })

  test('are not to be had of what is nested without an end', () => {
    expect(membersOf(`{"a":${'['.repeat(1_000_000)}`)).toBeUndefined()
  })
})

/** Values, and what is nearly one. */
const values = (
  '1 0 -0 -1 10 1.5 0.0 1e5 1E+5 1e-05 -1.25e10 01 -01 1. .5 -.5 +1 1e 1e+ - 0x1 1a NaN Infinity true false null ' +
  'True nul nulll truee undefined "" "a" "a\\n" "\\u00e9" "\\u00E9" "\\u00e" "\\u00g0" "\\x" "\\" " a" \'a\' [] [1] ' +
  '[1,2] [1,] [,1] [1 2] [ [ 1 , [ ] ] ] [ ]] [1}} {} {"a":1} {"a":1,} {"a"} {"a":} {a:1} {"a":1"b":2} {"a":1,"b":2} ' +
  '{"a":{"b":{}}} {"a":[} {1:2} {"a":1]} /**/1 1//'
).split(' ')
const odd = [
  '"\n"',
  '"\t"',
  '"\u0000"',
  '"\u007f"',
  '"\u2028"',
  '"é"',
  '\u00a01',
  '1\u00a0',
  '\ufeff1',
  '\v1',
  '\r\n\t 1',
]

test.each([...values, ...odd])('an object with the value %j is valid JSON or not, as JSON.parse says', (value) => {
  for (const text of [
    `{"a":${value}}`,
    ` { "a" : ${value} , "b" : [${value}] } `,
    `{"a":${value}`,
    `{"a":${value}}}`,
  ]) {
    expect({ text, isValid: membersOf(text) !== undefined }).toEqual({ text, isValid: isJson(text) })
  }
})

test('every cut-off object is invalid', () => {
  const text = '{"a": {"b": [1.5e3, "x\\u00e9\\n", null, true]}, "c": -0.1}'
  for (let end = 0; end < text.length; end += 1) expect(membersOf(text.slice(0, end))).toBeUndefined()
  expect(membersOf(text)).toHaveLength(2)
})

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
