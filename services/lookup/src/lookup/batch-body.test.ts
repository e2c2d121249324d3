import { describe, expect, test } from '@jest/globals'
import { BatchBody, batchValue } from './batch-body.ts'

const json = (text: string) => ({
  status: 200,
  contentType: 'application/json; charset=utf-8',
  body: Buffer.from(text),
})
const text = (value: string) => ({ status: 200, contentType: 'text/plain; charset=utf-8', body: Buffer.from(value) })
const body = (items: [string, ReturnType<typeof json>][]): string => {
  const made = new BatchBody(1)
  for (const [item, answer] of items) made.add(item, batchValue(answer))
  return made.bytes().toString()
}

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
