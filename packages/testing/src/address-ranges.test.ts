import { expect, test } from '@jest/globals'
import { differenceOf, networksIn } from './address-ranges.ts'

const range = (first: bigint, last: bigint) => ({ first, last, isIpv6: false })

test('a range is the fewest networks that it can be cut into', () => {
  expect(networksIn(range(0x09000001n, 0x09000006n))).toEqual(['9.0.0.1/32', '9.0.0.2/31', '9.0.0.4/31', '9.0.0.6/32'])
  expect(networksIn(range(0n, 0xffffffffn))).toEqual(['0.0.0.0/0'])
  const first = 0x2001n << 112n
  expect(networksIn({ first, last: first + 3n, isIpv6: true })).toEqual(['2001:0000:0000:0000:0000:0000:0000:0000/126'])
})

test('what is in ranges and not in others', () => {
  const left = differenceOf(
    [range(1n, 10n), range(20n, 30n)],
    [range(0n, 2n), range(5n, 5n), range(9n, 21n), range(40n, 50n)],
  )
  expect(left.map(({ first, last }) => [first, last])).toEqual([
    [3n, 4n],
    [6n, 8n],
    [22n, 30n],
  ])
})
