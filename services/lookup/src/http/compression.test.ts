import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { expect, test } from '@jest/globals'
import { compressed, isCompressible, minCompressedBytes, preferredCoding } from './compression.ts'

test.each([
  { field: 'gzip, deflate, br, zstd', coding: 'br' },
  { field: 'gzip', coding: 'gzip' },
  { field: 'x-gzip', coding: 'gzip' },
  { field: 'GZip;Q=0.5', coding: 'gzip' },
  { field: 'br;q=0.5, gzip;q=0.8', coding: 'gzip' },
  { field: 'br;q=0, gzip', coding: 'gzip' },
  { field: '*', coding: 'br' },
  { field: 'br;q=0, *;q=0.1', coding: 'gzip' },
  { field: 'gzip;q=0.5, identity', coding: undefined },
  { field: 'gzip;q=0', coding: undefined },
  { field: 'deflate, zstd', coding: undefined },
  { field: 'gzip;q=nonsense', coding: undefined },
  { field: '', coding: undefined },
  { field: undefined, coding: undefined },
])('Accept-Encoding: $field is answered with $coding', ({ field, coding }) => {
  expect(preferredCoding(field)).toBe(coding)
})

const answer = (contentType: string, bodyBytes: number) => ({ head: { status: 200, contentType }, bodyBytes })

test('what is small or no text is left as it is', () => {
  expect(isCompressible(answer('application/json; charset=utf-8', minCompressedBytes))).toBe(true)
  expect(isCompressible(answer('text/javascript; charset=utf-8', minCompressedBytes))).toBe(true)
  expect(isCompressible(answer('application/json; charset=utf-8', minCompressedBytes - 1))).toBe(false)
  expect(isCompressible(answer('image/png', minCompressedBytes))).toBe(false)
})

test('both codings give the bytes back', async () => {
  const body = Buffer.from(JSON.stringify(Array.from({ length: 2000 }, (_, index) => ({ ip: `9.9.9.${index}` }))))
  const [br, gzip] = await Promise.all([compressed(body, 'br'), compressed(body, 'gzip')])
  expect(brotliDecompressSync(br)).toEqual(body)
  expect(gunzipSync(gzip)).toEqual(body)
  expect(br.length).toBeLessThan(body.length / 4)
})
