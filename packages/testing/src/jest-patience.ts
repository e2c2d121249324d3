import { expect, jest } from '@jest/globals'

/**
 * Tests with processes, containers and deadlines of 100 ms share a machine with whatever else runs there. One that
 * fails is tried again, and says why it had failed; unit tests beside the code get no second try.
 */
// oxlint-disable-next-line jest/no-standalone-expect -- only here does jest 30 tell which file it is
if (expect.getState().testPath?.includes('/test/')) {
  jest.retryTimes(2, { logErrorsBeforeRetry: true })
}
