import { describe, expect, test } from '@jest/globals'
import { batchBody, batchValue, embeddedStatus, singleAnswer } from './batch-body.ts'

const json = (text: string) => ({
  status: 200,
  contentType: 'application/json; charset=utf-8',
  body: Buffer.from(text),
})
const text = (value: string) => ({ status: 200, contentType: 'text/plain; charset=utf-8', body: Buffer.from(value) })
const body = (items: [string, ReturnType<typeof json>][]): string =>
  batchBody(items.map(([item, answer]) => [item, batchValue(answer)])).toString()

describe('the object of a batch', () => {
  test('is what JSON.stringify makes of it with two spaces', () => {
    const record = { ip: '1.1.1.1', list: [1, { a: [] }], text: 'a\n"b"', empty: {} }
    const made = body([
      ['1.1.1.1', json(JSON.stringify(record, null, 2))],
      ['"quoted"\\', text('a "b"\n')],
      ['none', text('\n')],
    ])
    expect(made).toBe(JSON.stringify({ '1.1.1.1': record, '"quoted"\\': 'a "b"', none: '' }, null, 2))
  })

  test('may be empty', () => {
    expect(body([])).toBe('{}')
  })

  test('keeps its keys in order and to the letter', () => {
    const keys = ['b', '2', '1', '__proto__', '\u2028é']
    expect(JSON.parse(body(keys.map((key) => [key, text('x')])))).toEqual(
      Object.fromEntries(keys.map((key) => [key, 'x'])),
    )
    expect(body(keys.map((key) => [key, text('x')])).match(/^ {2}"/gm)).toHaveLength(keys.length)
  })

  test.each([
    ['{}', true],
    ['[]', true],
    ['{\n  "a": 1\n}', false],
  ])('%j is empty: %s', (value, isEmpty) => {
    expect(batchValue(json(value)).isEmpty).toBe(isEmpty)
  })

  test('a field without a value is empty', () => {
    expect(batchValue(text('\n')).isEmpty).toBe(true)
    expect(batchValue(text('{}\n')).isEmpty).toBe(false)
  })
})

describe('the answer of a single question, out of a batch', () => {
  test.each([
    { ip: '1.1.1.1', nested: { list: [1, [2, { a: 'b' }]], empty: {} } },
    {},
    ['a'],
    { text: 'two  spaces, \\n and a "quote"' },
  ])('is the bytes that went in: %j', (record) => {
    const alone = json(JSON.stringify(record, null, 2))
    const { json: raw } = batchValue(alone)
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
    ['{"error":"ASN Not Found!"}', 404],
    ['{"error":"Please provide a valid IP address"}', 400],
    ['{"title":"Wrong module or field type","message":"…"}', 400],
    ['{"ip":"1.1.1.1","status":404}', 200],
    ['{"ip":"1.1.1.1","title":"Mr"}', 200],
    ['{"name":"\\"error\\""}', 200],
    ['{}', 200],
  ])('has the status of %s: %d', (raw, status) => {
    expect(embeddedStatus(raw)).toBe(status)
    expect(singleAnswer(raw).status).toBe(status)
  })
})
