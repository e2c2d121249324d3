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

test('what a table has no column for is noted, but not blanks at the end of a row', () => {
  const table = new OwnColumns(['ip', 'a'], undefined)
  table.noteLeftOut([{ kind: 'cells', cells: ['8.8.8.8', '1', ''] }, undefined])
  expect(table.leftOut).toEqual([])
  table.noteLeftOut([
    { kind: 'cells', cells: ['8.8.8.8', '1', '', 'x'] },
    { kind: 'object', members: { ip: '8.8.8.8', late: null } },
  ])
  expect(table.leftOut).toEqual(['column_4', 'late'])
})
