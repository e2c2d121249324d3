import { expect, test } from '@jest/globals'
import { fieldOf } from './raw-fields.ts'

test('of a field that is there twice, the first one counts', () => {
  const fields = ['X', '1', 'PROXY-Authorization', 'Basic a', 'proxy-authorization', 'Basic b']
  expect([fieldOf(fields, 'proxy-authorization'), fieldOf(fields, 'y')]).toEqual(['Basic a', undefined])
})
