import { expect, test } from '@jest/globals'
import { closingLine, slowestFiles } from './closing-line-reporter.ts'

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

test('the ten slowest files are listed, the slowest first, when there are more', () => {
  const files = Array.from({ length: 12 }, (_, index) => ({
    testFilePath: `/clone/services/edge/test/${index}.test.ts`,
    perfStats: { runtime: index * 1234 },
  }))
  const lines = slowestFiles(files, '/clone')
  expect(lines).toHaveLength(11)
  expect(lines.slice(0, 2)).toEqual(['The 10 slowest files:', '  13.6 s  services/edge/test/11.test.ts'])
  expect(slowestFiles(files.slice(2), '/clone')).toEqual([])
})
