import { expect, test } from '@jest/globals'
import { batchValues } from './batch-values.ts'

const valueOf = (value: unknown) => batchValues({ '8.8.8.8': value })?.get('8.8.8.8')

test('a record is a record, a bogon too', () => {
  expect(valueOf({ ip: '8.8.8.8', city: 'Here' })).toEqual({
    kind: 'record',
    record: { ip: '8.8.8.8', city: 'Here' },
  })
  expect(valueOf({ ip: '10.0.0.1', bogon: true })).toMatchObject({ kind: 'record' })
})

test.each([
  [404, 'error'],
  [400, 'error'],
  [429, 'passing'],
  [502, 'passing'],
  [503, 'passing'],
])('an error of status %i is one of kind %s', (status, kind) => {
  const error = { title: 'Wrong ip', message: 'Please provide a valid IP address' }
  expect(valueOf({ status, error })).toEqual({ kind, error: { code: 'wrong_ip', ...error } })
})

test('newer products tell an error as text', () => {
  expect(valueOf({ error: 'Unknown' })).toEqual({
    kind: 'error',
    error: { code: 'unknown', title: 'Unknown', message: 'Unknown' },
  })
})

test.each([[''], [null], [[]], [3]])('%j is that nothing is known', (value) => {
  expect(valueOf(value)).toMatchObject({ kind: 'error', error: { code: 'no_record' } })
})

test.each([[null], [[]], ['x'], [3]])('%j is no answer to a batch', (body) => {
  expect(batchValues(body)).toBeUndefined()
})
