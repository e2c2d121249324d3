import { relative } from 'node:path'

/** The counts of jest's aggregated result that the closing line is made of. */
export interface RunCounts {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  /** Test files that could not be loaded: none of their tests was counted. */
  readonly numRuntimeErrorTestSuites: number
}

/** What jest's result of one test file says about its time. */
export interface FileTime {
  readonly testFilePath: string
  readonly perfStats: { /** In milliseconds. */ readonly runtime: number }
}

interface RunResult extends RunCounts {
  readonly testResults: readonly FileTime[]
}

const slowestFilesShown = 10

/** `N passed, N failed`, and `, N skipped` if any were. A file that fails to load counts as a failed test. */
export function closingLine(counts: RunCounts): string {
  const failed = counts.numFailedTests + counts.numRuntimeErrorTestSuites
  const skipped = counts.numPendingTests + counts.numTodoTests
  return `${counts.numPassedTests} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

/** A heading and a line for each of the ten files that took longest; nothing for a run of ten files or fewer. */
export function slowestFiles(files: readonly FileTime[], folder: string): string[] {
  if (files.length <= slowestFilesShown) return []
  const slowest = files.toSorted((a, b) => b.perfStats.runtime - a.perfStats.runtime).slice(0, slowestFilesShown)
  const lines = slowest.map(({ testFilePath, perfStats }) => {
    const seconds = (perfStats.runtime / 1000).toFixed(1).padStart(6)
    return `${seconds} s  ${relative(folder, testFilePath)}`
  })
  return [`The ${slowestFilesShown} slowest files:`, ...lines]
}

/**
 * A jest reporter that ends the run's output with the slowest files, and then the closing line alone on a line. It
 * waits for the exit: jest 30 runs its own summary after every custom reporter, wherever that is listed.
 */
class ClosingLineReporter {
  onRunComplete(_contexts: unknown, result: RunResult): void {
    const lines = [...slowestFiles(result.testResults, process.cwd()), closingLine(result)]
    process.once('exit', () => process.stdout.write(lines.map((line) => `${line}\n`).join('')))
  }
}

// oxlint-disable-next-line import/no-default-export -- jest 30 constructs a reporter from its default export
export default ClosingLineReporter
