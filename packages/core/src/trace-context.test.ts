import { expect, test } from '@jest/globals'
import { formatTraceparent, parseTraceparent } from './trace-context.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const spanId = '00f067aa0ba902b7'

test.each([
  [`00-${traceId}-${spanId}-01`, 1],
  [`00-${traceId}-${spanId}-00`, 0],
  [`00-${traceId}-${spanId}-03`, 3],
  [`00-${traceId}-${spanId}-ff`, 3],
  [`00-${traceId}-${spanId}-fc`, 0],
  [`01-${traceId}-${spanId}-01`, 1],
  [`cc-${traceId}-${spanId}-01-what the future-will be like`, 1],
  [`fe-${traceId}-${spanId}-01-`, 1],
])('%s is continued', (given, flags) => {
  expect(parseTraceparent(given)).toEqual({ traceId, spanId, flags })
})

test.each([
  undefined,
  '',
  '00',
  `ff-${traceId}-${spanId}-01`,
  `00-${'0'.repeat(32)}-${spanId}-01`,
  `00-${traceId}-${'0'.repeat(16)}-01`,
  `00-${traceId.toUpperCase()}-${spanId}-01`,
  `0A-${traceId}-${spanId}-01`,
  `00-${traceId}-${spanId}-0G`,
  `00-${traceId}-${spanId}-1`,
  `00-${traceId}-${spanId}-01-`,
  `00-${traceId}-${spanId}-01-more`,
  `00-${traceId}-${spanId}-01.`,
  `cc-${traceId}-${spanId}-01.what`,
  `00-${traceId}-${spanId}-010`,
  `00-${traceId.slice(1)}-${spanId}-01`,
  `00-${traceId}0-${spanId}-01`,
  `00-${traceId}-${spanId}`,
  ` 00-${traceId}-${spanId}-01`,
  `00-${traceId}-${spanId}-01\n`,
  `00_${traceId}_${spanId}_01`,
  `00-${traceId}-${spanId}-01, 00-${traceId}-${spanId}-01`,
  [`00-${traceId}-${spanId}-01`],
])('%j is ignored', (given) => {
  expect(parseTraceparent(given)).toBeUndefined()
})

test('what is sent on has the form of version 00', () => {
  expect(formatTraceparent({ traceId, spanId, flags: 3 })).toBe(`00-${traceId}-${spanId}-03`)
})
