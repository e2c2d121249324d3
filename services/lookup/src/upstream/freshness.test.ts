import { expect, test } from '@jest/globals'
import { freshForMs } from './freshness.ts'

const rules = { geoTtlMs: 1000, threatTtlMs: 100, negativeTtlMs: 10, maxBodyBytes: 50 }
const answer = (status: number, body = '{"ip":"8.8.8.8"}') => ({
  status,
  contentType: 'application/json',
  body: Buffer.from(body),
})

test('a record is fresh for long, one that tells of proxies for less', () => {
  expect(freshForMs(rules, '/8.8.8.8', answer(200))).toBe(1000)
  expect(freshForMs(rules, '/8.8.8.8/privacy', answer(200))).toBe(100)
  expect(freshForMs(rules, '/8.8.8.8', answer(200, '{"privacy":{"vpn":false}}'))).toBe(100)
})

test('that there is no such thing is kept for a short time', () => {
  expect([400, 404].map((status) => freshForMs(rules, '/x', answer(status)))).toEqual([10, 10])
})

test.each([201, 401, 403, 418, 429, 500, 503])('a %i is never kept', (status) => {
  expect(freshForMs(rules, '/8.8.8.8', answer(status))).toBe(0)
})

test('a body over the limit is never kept, one at the limit is', () => {
  expect(freshForMs(rules, '/8.8.8.8', answer(200, 'x'.repeat(50)))).toBe(1000)
  for (const status of [200, 404]) expect(freshForMs(rules, '/8.8.8.8', answer(status, 'x'.repeat(51)))).toBe(0)
})
