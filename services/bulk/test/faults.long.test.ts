import { test } from '@jest/globals'
import { expectTheSameBytes } from './faults.ts'

test('a job of 100,000 lines, workers killed, Redis restarted, keys over their limit: the same bytes as without', () =>
  expectTheSameBytes({ lineCount: 100_000, latencyMs: 20, timeoutMs: 150_000 }))
