import { expect, test } from '@jest/globals'
import type { Request } from 'express'
import { jobRequestOf, subjectOf } from './job-request.ts'

const requestOf = (query: object, headers: object = {}) =>
  jobRequestOf({ query, headers } as unknown as Request, (text) => `checked ${text}`)

test.each([
  { given: undefined, fields: undefined },
  { given: '', fields: undefined },
  { given: ',', fields: undefined },
  { given: 'city', fields: ['city'] },
  { given: ' city, asn.name ,city', fields: ['city', 'asn.name'] },
  { given: ['city', 'org'], fields: ['city'] },
])('fields $given', async ({ given, fields }) => {
  expect((await requestOf({ fields: given })).fields).toEqual(fields)
})

test.each(['a b', 'a.', '.a', 'a..b', 'a"b', 'a\nb', `a.${'b.'.repeat(8)}c`, 'x'.repeat(65)])(
  'fields %j are refused',
  async (fields) => {
    await expect(requestOf({ fields })).rejects.toMatchObject({ code: 'bad_request' })
  },
)

test.each(['__proto__', 'constructor', 'toString', 'nosuch', 'citty'])(
  'the field %s, which no record has, is told',
  async (field) => {
    await expect(requestOf({ fields: `city,${field}` })).rejects.toMatchObject({
      code: 'bad_request',
      message: expect.stringContaining(`field ${field}`),
    })
  },
)

test.each([
  { field: 'abc', key: 'abc' },
  { field: '"abc"', key: 'abc' },
  { field: '"a', key: '"a' },
  { field: 'k'.repeat(255), key: 'k'.repeat(255) },
  { field: undefined, key: undefined },
])('Idempotency-Key $field', async ({ field, key }) => {
  expect((await requestOf({}, { 'idempotency-key': field })).idempotencyKey).toBe(key)
})

test.each(['', '""', ' ', 'k'.repeat(256), 'ä', 'a\tb'])('Idempotency-Key %j is refused', async (field) => {
  await expect(requestOf({}, { 'idempotency-key': field })).rejects.toMatchObject({ code: 'bad_request' })
})

test('of a repeated ?format= or ?column= the first counts', async () => {
  const { form } = await requestOf({ format: ['csv', 'lines'], column: ['2', '3'] }, { 'content-type': 'text/plain' })
  expect(form).toMatchObject({ kind: 'csv', column: 2 })
})

test('a column with a name of over 1000 characters is refused', async () => {
  const json = { 'content-type': 'application/json' }
  await expect(requestOf({ column: 'a.'.repeat(500) }, json)).resolves.toBeDefined()
  await expect(requestOf({ column: `${'a.'.repeat(500)}a` }, json)).rejects.toMatchObject({ code: 'bad_request' })
})

test('what the callback is checked to is kept', async () => {
  expect((await requestOf({ callback: 'https://me' })).callback).toBe('checked https://me')
  expect((await requestOf({ callback: '' })).callback).toBeUndefined()
})

test('two requests differ by all but their key', async () => {
  const plain = subjectOf(await requestOf({}))
  expect(subjectOf(await requestOf({}, { 'idempotency-key': 'k', 'content-type': 'text/plain' }))).toBe(plain)
  const others = [{ fields: 'city' }, { callback: 'x' }, { format: 'csv' }, { format: 'csv', column: '2' }]
  const subjects = await Promise.all(others.map(async (query) => subjectOf(await requestOf(query))))
  expect(new Set([plain, ...subjects]).size).toBe(5)
})
