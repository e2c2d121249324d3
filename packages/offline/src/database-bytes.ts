import { constants, crc32, gunzipSync, inflateRawSync, type ZlibOptions, zstdDecompressSync } from 'node:zlib'
import { errorCode } from '@ipfleet/core/error-code.ts'

export interface UnpackLimits {
  /** Most bytes of the database when it is unpacked. */
  readonly maxBytes: number
  /** Most bytes that a byte of the file may become; a file may have 1 MiB whatever its size. */
  readonly maxRatio: number
}

/** For files that the operator placed. Node keeps no more in one Buffer than 4 GB, and no maker's file has that. */
const placedLimits: UnpackLimits = { maxBytes: 2 ** 31, maxRatio: Infinity }

const gzipMagic = Buffer.from([0x1f, 0x8b])
const zstdMagic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])
const zipMagic = Buffer.from('PK\u0003\u0004')
const zipEnd = Buffer.from('PK\u0005\u0006')
const tarBlock = 512

/** A download that holds no single database, or too much. */
export class UnusableArchive extends Error {}

/**
 * The bytes of an MMDB as it was downloaded: plain, `.gz`, `.zst`, `.tar` in one of these (MaxMind's), or `.zip`
 * (IP2Location's). The content decides, not the name.
 * @throws UnusableArchive for an archive without exactly one `.mmdb`, and beyond the limits; what node:zlib throws for a
 * broken stream
 */
export function databaseBytes(file: Buffer, limits = placedLimits): Buffer {
  const unpacked = inflated(file, limits)
  return isTar(unpacked) ? databaseInTar(unpacked) : unpacked
}

function inflated(file: Buffer, { maxBytes, maxRatio }: UnpackLimits): Buffer {
  const maxOutputLength = Math.min(maxBytes, Math.max(2 ** 20, maxRatio * file.length))
  const options = { maxOutputLength, chunkSize: Math.min(maxOutputLength, chunkFor(file)) }
  try {
    if (startsWith(file, gzipMagic)) return gunzipSync(file, options)
    if (startsWith(file, zipMagic)) return databaseInZip(file, options)
    if (!startsWith(file, zstdMagic)) return file
    return zstdDecompressSync(file, { ...options, params: { [constants.ZSTD_d_windowLogMax]: 27 } })
  } catch (cause) {
    if (errorCode(cause) !== 'ERR_BUFFER_TOO_LARGE') throw cause
    throw new UnusableArchive(`becomes more than ${maxOutputLength} bytes when it is unpacked`, { cause })
  }
}

const startsWith = (file: Buffer, magic: Buffer): boolean => file.subarray(0, magic.length).equals(magic)

/** One chunk takes all: chunks that are joined would take the memory twice. Pages that are not written take none. */
const chunkFor = ({ length }: Buffer): number => Math.min(2 ** 28, Math.max(2 ** 16, length * 4))

/** POSIX.1-2017, pax, "ustar Interchange Format". */
function isTar(bytes: Buffer): boolean {
  return bytes.length >= tarBlock && bytes.toString('latin1', 257, 262) === 'ustar'
}

function databaseInTar(tar: Buffer): Buffer {
  const found: Buffer[] = []
  for (let at = 0; at + tarBlock <= tar.length && tar[at] !== 0;) {
    const size = Number.parseInt(textAt(tar, at + 124, 12), 8) || 0
    const start = at + tarBlock
    const isFile = tar[at + 156] === 0x30 || tar[at + 156] === 0
    if (isFile && isDatabase(textAt(tar, at, 100))) found.push(tar.subarray(start, start + size))
    at = start + Math.ceil(size / tarBlock) * tarBlock
  }
  return only(found)
}

/** By the directory at its end (APPNOTE.TXT 6.3, §4.3.12). */
function databaseInZip(zip: Buffer, options: ZlibOptions): Buffer {
  const end = zip.lastIndexOf(zipEnd)
  if (end === -1) throw new Error('it has no directory')
  const found: number[] = []
  let at = zip.readUInt32LE(end + 16)
  for (let left = zip.readUInt16LE(end + 10); left > 0; left -= 1) {
    const [name = 0, extra = 0, comment = 0] = [28, 30, 32].map((length) => zip.readUInt16LE(at + length))
    if (isDatabase(zip.toString('latin1', at + 46, at + 46 + name))) found.push(at)
    at += 46 + name + extra + comment
  }
  const entry = only(found)
  const local = zip.readUInt32LE(entry + 42)
  const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28)
  const packed = zip.subarray(start, start + zip.readUInt32LE(entry + 20))
  const database = zip.readUInt16LE(entry + 10) === 0 ? packed : inflateRawSync(packed, options)
  if (crc32(database) !== zip.readUInt32LE(entry + 16)) throw new Error('its checksum is another')
  return database
}

/** macOS packs a file `._NAME` beside each. */
const isDatabase = (name: string): boolean => /(^|\/)(?!\._)[^/]*\.mmdb$/i.test(name)

function only<Found>(found: readonly Found[]): Found {
  const [one] = found
  if (one !== undefined && found.length === 1) return one
  throw new UnusableArchive(`holds ${found.length} files .mmdb; it has to be one`)
}

const textAt = (bytes: Buffer, at: number, length: number): string =>
  bytes
    .toString('latin1', at, at + length)
    .replace(/\0.*$/s, '')
    .trim()
