import type { IncomingMessage } from 'node:http'
import { expect, test } from '@jest/globals'
import { liveReserve } from './live-reserve.ts'

const read = (field?: string): number =>
  liveReserve({ headers: field === undefined ? {} : { 'ipfleet-live-reserve': field } } as unknown as IncomingMessage)

test.each([
  [undefined, 0],
  ['0', 0],
  ['5', 0.05],
  ['20', 0.2],
  ['99', 0.99],
])('%s percent is the share %d', (field, share) => {
  expect(read(field)).toBe(share)
})

test.each(['', '100', '-1', '+5', '5.5', '1e1', '20%', '20, 20', ' 20', 'twenty', '0x10'])(
  '"%s" is refused',
  (field) => {
    expect(() => read(field)).toThrow('Ipfleet-Live-Reserve is a whole number of percent, from 0 to 99')
  },
)
