import { expect, test } from '@jest/globals'
import { itemsField } from './item-fields.ts'

test.each([
  [{ refused: 2, upstream: 95, l2: 900, l1: 3 }, 'l1=3, l2=900, upstream=95, refused=2'],
  [{ error: 1 }, 'error=1'],
  [
    { error: 1, refused: 2, local: 3, offline: 4, bypass: 5, upstream: 6, collapsed: 7, stale: 8, l2: 9, l1: 10 },
    'l1=10, l2=9, stale=8, collapsed=7, upstream=6, bypass=5, offline=4, local=3, refused=2, error=1',
  ],
])('%j is %s', (items, field) => {
  expect(itemsField(items)).toBe(field)
})
