/** The counts of jest's aggregated result that the closing line is made of. */
export interface RunCounts {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  /** Test files that could not be loaded: none of their tests was counted. */
  readonly numRuntimeErrorTestSuites: number
}

/** `N passed, N failed`, and `, N skipped` if any were. A file that fails to load counts as a failed test. */
export function closingLine(counts: RunCounts): string {
  const failed = counts.numFailedTests + counts.numRuntimeErrorTestSuites
  const skipped = counts.numPendingTests + counts.numTodoTests
  return `${counts.numPassedTests} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

/**
 * A jest reporter that ends the run's output with the closing line alone on a line. It waits for the exit:
 * jest 30 runs its own summary after every custom reporter, wherever that is listed.
 */
class ClosingLineReporter {
  onRunComplete(_contexts: unknown, counts: RunCounts): void {
    const line = closingLine(counts)
    process.once('exit', () => process.stdout.write(`${line}\n`))
  }
}

// oxlint-disable-next-line import/no-default-export -- jest 30 constructs a reporter from its default export
export default ClosingLineReporter
