import { expect, test } from '@jest/globals'
import { apiKey } from './api-key.ts'

test('a key is known by the first 12 hex digits of its SHA-256, on every replica', () => {
  // printf 'test' | sha256sum
  expect(apiKey('test')).toEqual({ id: '9f86d081884c', secret: 'test' })
})
