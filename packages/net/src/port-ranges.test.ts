import { expect, test } from '@jest/globals'
import { includesPort, readPortRanges, showPortRanges } from './port-ranges.ts'

test.each(['443,80,1024-65535', '443', '*', '22,*'])('%s is shown as it was written', (text) => {
  expect(showPortRanges(readPortRanges(text) ?? [])).toBe(text)
})

test.each(['', ',', '0', '65536', '80-79', '80-', '-80', '80-90-100', 'http', '80;81', '1e3', '080'])(
  '%j is no list of ports',
  (text) => {
    expect(readPortRanges(text)).toBeUndefined()
  },
)

test('a port is in a range up to both ends', () => {
  const ranges = readPortRanges('80, 1000-2000') ?? []
  expect([79, 80, 81, 999, 1000, 2000, 2001].filter((port) => includesPort(ranges, port))).toEqual([80, 1000, 2000])
})
