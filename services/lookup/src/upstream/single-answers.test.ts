import type { Answer } from '@ipfleet/cache/entry.ts'
import { describe, expect, test } from '@jest/globals'
import { jsonMembers } from './json-members.ts'
import { SingleAnswers } from './single-answers.ts'

const json = (text: string) => ({
  status: 200,
  contentType: 'application/json; charset=utf-8',
  body: Buffer.from(text),
})
const text = (value: string) => ({ status: 200, contentType: 'text/plain; charset=utf-8', body: Buffer.from(value) })

/** The answer of the second of three items. */
function singleAnswer(raw: string): Answer {
  const batch = Buffer.from(`{\n  "a": {\n    "é": 1\n  },\n  "b": ${raw},\n  "c": {\n    "x": []\n  }\n}`)
  const spans = jsonMembers(batch)
  const answers = new SingleAnswers(batch)
  const [first, second, third] = ['a', 'b', 'c'].map((name) => answers.at(spans?.get(name) ?? { start: 0, end: 0 }))
  expect([first, third]).toEqual([json('{\n  "é": 1\n}'), json('{\n  "x": []\n}')])
  return second as Answer
}

describe('the answer of a single query, out of a batch', () => {
  test.each([
    { ip: '1.1.1.1', nested: { list: [1, [2, { a: 'b' }]], empty: {} } },
    {},
    ['a'],
    { text: 'two  spaces, \\n and a "quote"' },
  ])('is the bytes that went in: %j', (record) => {
    const alone = json(JSON.stringify(record, null, 2))
    const raw = JSON.stringify(record, null, 2).replaceAll('\n', '\n  ')
    expect(singleAnswer(raw)).toEqual(alone)
  })

  test('has the white space that upstream left out', () => {
    expect(singleAnswer('{"a":{"b":1}}').body.toString()).toBe('{\n  "a": {\n    "b": 1\n  }\n}')
  })

  test.each([
    ['"Mountain View"', 'Mountain View\n'],
    ['"a\\n\\u00e9"', 'a\né\n'],
    ['""', '\n'],
    ['null', '\n'],
    ['true', 'true\n'],
    ['37.40', '37.40\n'],
  ])('for the field %s is %j', (raw, expected) => {
    expect(singleAnswer(raw)).toEqual(text(expected))
  })

  test.each([
    ['{"status":404,"error":{"title":"Wrong ip","message":"…"}}', 404],
    ['{"status":429,"error":{"title":"Rate limit exceeded"}}', 429],
    ['{"status":429,"message":"Too many requests"}', 429],
    ['{"errors":["rate limit"]}', 429],
    ['{"error":"ASN Not Found!"}', 404],
    ['{"error":"Please provide a valid IP address"}', 400],
    ['{"title":"Wrong module or field type","message":"…"}', 400],
    ['{"ip":"1.1.1.1","status":404}', 200],
    ['{"ip":"1.1.1.1","title":"Mr"}', 200],
    ['{"name":"\\"error\\""}', 200],
    ['{}', 200],
  ])('has the status of %s: %d', (raw, status) => {
    expect(singleAnswer(raw).status).toBe(status)
  })
})
