import { expect, test } from '@jest/globals'
import { OwnColumns } from './own-columns.ts'

test('a member of a list is kept whatever its name, and is no part of other columns', () => {
  const members = JSON.parse('{"ip":"8.8.8.8","__proto__":{"country":"AU"}}') as Readonly<Record<string, unknown>>
  const results = [{ input: '8.8.8.8', org: 'a' }]
  const own = [{ kind: 'object', members }] as const
  const [row] = new OwnColumns(['ip'], undefined).joined(results, own)
  expect(JSON.stringify(row)).toBe('{"input":"8.8.8.8","ip":"8.8.8.8","__proto__":{"country":"AU"},"org":"a"}')
  expect(row).not.toHaveProperty('country')
  const table = new OwnColumns(['ip', 'constructor'], undefined)
  expect(table.joinedValues(results, own, ['org'])).toEqual([['8.8.8.8', undefined, 'a', '']])
})
