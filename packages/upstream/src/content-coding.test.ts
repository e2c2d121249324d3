import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, test } from '@jest/globals'
import { decoded } from './content-coding.ts'

const plain = Buffer.from(JSON.stringify({ ip: '8.8.8.8', city: 'Mountain View' }))

describe('a body', () => {
  test.each([
    ['gzip', gzipSync(plain)],
    ['GZIP', gzipSync(plain)],
    ['x-gzip', gzipSync(plain)],
    ['deflate', deflateSync(plain)],
    ['deflate', deflateRawSync(plain)],
    ['br', brotliCompressSync(plain)],
    ['zstd', zstdCompressSync(plain)],
    // What was not asked for, and names of no coding, are left to the reader of the body.
    ['identity', plain],
    ['gzip, gzip', plain],
    ['constructor', plain],
  ])('comes out of %s', async (coding, bytes) => {
    expect((await decoded(bytes, coding, plain.length)).equals(plain)).toBe(true)
  })

  test('that is empty is empty in any coding', async () => {
    expect(await decoded(Buffer.alloc(0), 'gzip', 10)).toHaveLength(0)
  })

  test.each([
    ['gzip', gzipSync(plain)],
    ['deflate', deflateSync(plain)],
    ['br', brotliCompressSync(plain)],
    ['zstd', zstdCompressSync(plain)],
  ])('that %s makes too long, or that is cut off, is invalid', async (coding, bytes) => {
    const invalid = { code: 'upstream_invalid', isStale: false }
    await expect(decoded(bytes, coding, plain.length - 1)).rejects.toMatchObject({
      ...invalid,
      message: expect.stringMatching(/^body over/),
    })
    await expect(decoded(bytes.subarray(0, -9), coding, 1000)).rejects.toMatchObject(invalid)
    await expect(decoded(plain, coding, 1000)).rejects.toMatchObject(invalid)
  })
})
