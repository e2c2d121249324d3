import { test } from '@jest/globals'
import { expectOneCallForEachQuery } from './zipf-fleet.ts'

/** What a fleet asks upstream under the traffic that it is made for. `zipf.long.test.ts` has more of it. */
test('Zipf traffic (s = 1.1) over four replicas asks upstream once for each query', () =>
  expectOneCallForEachQuery({ requests: 2000, popular: 300, oneOffShare: 0.1, exponent: 1.1 }))
