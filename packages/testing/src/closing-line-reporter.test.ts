import { expect, test } from '@jest/globals'
import { closingLine } from './closing-line-reporter.ts'

const nothing = {
  numPassedTests: 0,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  numRuntimeErrorTestSuites: 0,
}

test('skipped tests are named only when there are some', () => {
  expect(closingLine({ ...nothing, numPassedTests: 12 })).toBe('12 passed, 0 failed')
  expect(closingLine({ ...nothing, numPassedTests: 12, numPendingTests: 1, numTodoTests: 2 })).toBe(
    '12 passed, 0 failed, 3 skipped',
  )
})

test('a file that does not load counts as a failed test', () => {
  expect(closingLine({ ...nothing, numFailedTests: 1, numRuntimeErrorTestSuites: 2 })).toBe('0 passed, 3 failed')
})
