import { test } from '@jest/globals'
import { expectOneCallForEachQuery } from './zipf-fleet.ts'

test.each([0.8, 1.1])(
  '10,000 requests of Zipf traffic (s = %d) over four replicas ask upstream once for each query',
  (exponent) => expectOneCallForEachQuery({ requests: 10_000, popular: 1500, oneOffShare: 0.1, exponent }),
)
