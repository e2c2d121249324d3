import { expect, test } from '@jest/globals'
import { rank } from './slowest-first-sequencer.ts'

test('the slowest files begin, then come those with processes, and unit tests are last', () => {
  const inOrder = [
    'packages/testing/test/compose.test.ts',
    'packages/testing/test/readme-commands.test.ts',
    'services/edge/test/limits.test.ts',
    'services/edge/src/limits.test.ts',
  ].map((file) => `/clone/${file}`)
  expect(inOrder.toReversed().toSorted((a, b) => rank(a) - rank(b))).toEqual(inOrder)
})
