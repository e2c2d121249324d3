import { test } from '@jest/globals'
import { expectOneCallForEachQuery } from './zipf-fleet.ts'

/** What a fleet asks upstream under the traffic that it is made for. `zipf.long.test.ts` has 10,000 requests. */
test.each([0.8, 1.1])('Zipf traffic (s = %d) over four replicas asks upstream once for each query', (exponent) =>
  expectOneCallForEachQuery({ requests: 2000, popular: 300, oneOffShare: 0.1, exponent }),
)
