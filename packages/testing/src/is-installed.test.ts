import { expect, test } from '@jest/globals'
import { isInstalled } from './is-installed.ts'

test.each([
  ['sh', true],
  ['no-such-program-anywhere', false],
])('%s: %s', async (program, expected) => {
  expect(await isInstalled(program, 'the test of isInstalled says so')).toBe(expected)
})
