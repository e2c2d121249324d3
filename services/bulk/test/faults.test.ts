import { test } from '@jest/globals'
import { expectTheSameBytes } from './faults.ts'

const timeoutMs = 150_000

/** `faults.long.test.ts` has a longer job. */
test(
  'workers killed, Redis restarted, keys over their limit: the same bytes as without',
  () => expectTheSameBytes({ lineCount: 30_000, latencyMs: 100, timeoutMs }),
  2 * timeoutMs,
)
