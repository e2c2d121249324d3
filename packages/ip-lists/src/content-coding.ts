import type { Duplex } from 'node:stream'
import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
} from 'node:zlib'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'

export interface ContentCoding {
  readonly name: string
  /** Memory that inflating may take for what it has made, beyond a buffer. */
  readonly windowBytes: number
  /** `head`: the first bytes of the coded body. */
  readonly inflater: (head: Buffer) => Duplex
}

/** Node's default of 16 KiB takes four times as many turns of the event loop. */
const chunkSize = 64 * 1024

/** RFC 9659 §3: no window over 8 MB is for HTTP. zstd itself would take up to 128 MB for one body. */
const zstdWindowLog = 23

/** By default Node 26 reads only to the end of the first stream, and ignores what is behind it. */
const nothingAfter = { chunkSize, rejectGarbageAfterEnd: true }

const gzip: ContentCoding = { name: 'gzip', windowBytes: 0, inflater: () => createGunzip({ chunkSize }) }
const zstdUpTo = (windowLog: number): ContentCoding => ({
  name: 'zstd',
  windowBytes: 2 ** windowLog,
  inflater: () => createZstdDecompress({ ...nothingAfter, params: { [constants.ZSTD_d_windowLogMax]: windowLog } }),
})
const zstd = zstdUpTo(zstdWindowLog)
/** RFC 7932 §9.1: a window has at most 16 MiB. */
const brotli: ContentCoding = { name: 'br', windowBytes: 2 ** 24, inflater: () => createBrotliDecompress(nothingAfter) }
const deflate: ContentCoding = {
  name: 'deflate',
  windowBytes: 0,
  // Some clients omit the zlib wrapper (RFC 9110 §8.4.1.2).
  inflater: (head) => (hasZlibHeader(head) ? createInflate(nothingAfter) : createInflateRaw(nothingAfter)),
}

const byName = new Map([
  ['x-gzip', gzip],
  ...[gzip, deflate, brotli, zstd].map((coding) => [coding.name, coding] as const),
])

/** With the bytes that what is coded by it begins with. */
export type ShownCoding = readonly [ContentCoding, Buffer]

/** How zstd begins: with a frame, or with a skippable one (RFC 8878 §3.1.2), as pzstd writes it. */
const shownZstd = (coding: ContentCoding): readonly ShownCoding[] => [
  [coding, Buffer.from([0x28, 0xb5, 0x2f, 0xfd])],
  [coding, Buffer.from([0x50, 0x2a, 0x4d, 0x18])],
]

/** No text that people write begins with these bytes, so that a compressed file is recognised without a header field. */
const magics: readonly ShownCoding[] = [[gzip, Buffer.from([0x1f, 0x8b, 0x08])], ...shownZstd(zstd)]

/** For files of one's own, which `zstd --ultra` and `zstd --long` pack with larger windows: what `zstd -d` reads. */
export const zstdOfFiles = shownZstd(zstdUpTo(27))

export const maxMagicLength = 6

/** The coding that Content-Encoding names; undefined for none. @throws ProxyError `unsupported_media_type` */
export function codingNamed(contentEncoding = ''): ContentCoding | undefined {
  const names = contentEncoding
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
  const [name, ...more] = names.filter((one) => one !== '' && one !== 'identity')
  if (name === undefined) return undefined
  const coding = byName.get(name)
  if (coding !== undefined && more.length === 0) return coding
  throw new ProxyError('unsupported_media_type', {
    message: 'A body may be sent as it is, or with one Content-Encoding of gzip, deflate, br and zstd',
  })
}

/** The coding that the first bytes of the body show. @param more codings that the caller prefers */
export function codingShown(head: Buffer, more: readonly ShownCoding[] = []): ContentCoding | undefined {
  return [...more, ...magics].find(([, magic]) => head.subarray(0, magic.length).equals(magic))?.[0]
}

/** RFC 1950 §2.2: method 8, and the first two bytes are a multiple of 31. */
function hasZlibHeader([method = 0, flags = 0]: Buffer): boolean {
  return (method & 15) === 8 && (method * 256 + flags) % 31 === 0
}
