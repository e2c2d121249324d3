import { Duplex, Readable } from 'node:stream'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { type ShownCoding, zstdOfFiles } from '@ipfleet/ip-lists/content-coding.ts'

/** Beside what HTTP has. Node has no decoder for xz and bzip2: each library is loaded for such files only. */
export const moreCodings: readonly ShownCoding[] = [
  ...zstdOfFiles,
  [{ name: 'xz', windowBytes: 0, inflater: () => Duplex.from(unxz) }, Buffer.from('\u00fd7zXZ\0', 'latin1')],
  [{ name: 'bzip2', windowBytes: 0, inflater: () => Duplex.from(bunzip) }, Buffer.from('BZh')],
]

/** xz-decompress 0.2.3 tells by these that a checksum, filter or dictionary (over 64 MiB) is not for it. */
const notForIt = /error code [346]$/

async function* unxz(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const { default: xz } = await import('xz-decompress')
  try {
    for await (const piece of new xz.XzReadableStream(Readable.toWeb(Readable.from(pieces))))
      yield Buffer.from(piece.buffer)
  } catch (cause) {
    if (!(cause instanceof Error && notForIt.test(cause.message))) throw cause
    const message = 'The body is packed by xz in a way that is not read; pipe it in: xz -dc FILE | … -'
    throw new ProxyError('bad_request', { message, cause })
  }
}

const headerBytes = 4
/** A code has at most 20 bits, and stands for at least one byte of a block; tables are before them. */
const packedBytesOf = (blockBytes: number): number => blockBytes * 2.5 + 64 * 1024

/**
 * One block after the other, as `decode` of seek-bzip does it, which wants the whole file in memory. A block of 900 kB is
 * read ahead; runs can make 46 MB of it.
 */
async function* bunzip(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const { default: Decoder } = await import('seek-bzip')
  const packed = packedBytes(pieces[Symbol.asyncIterator]())
  const unpacked = unpackedBytes()
  const input = Object.assign(new Decoder.Stream(), packed)
  // Streams may follow one another, as pbzip2 writes them.
  while ((await packed.holds(headerBytes)) > 0) {
    const decoder = new Decoder(input, unpacked)
    for (;;) {
      await packed.holds(packedBytesOf(decoder.dbufSize))
      // oxlint-disable no-underscore-dangle -- seek-bzip names its steps so
      if (!decoder._init_block()) break
      decoder._read_bunzip()
      // oxlint-enable no-underscore-dangle
      yield* unpacked.take()
    }
    if (decoder.reader.read(32) >>> 0 !== decoder.streamCRC) throw new Error('the checksum is another')
  }
}

function packedBytes(source: AsyncIterator<Buffer>) {
  let held: Buffer = Buffer.alloc(0)
  let at = 0
  return {
    readByte: (): number => {
      const byte = held[at]
      if (byte === undefined) throw new Error('cut short')
      at += 1
      return byte
    },
    /** Reads ahead. @returns how many bytes are there, fewer than wanted only at the end */
    holds: async (wanted: number): Promise<number> => {
      const parts = [held.subarray(at)]
      let length = held.length - at
      while (length < wanted) {
        // oxlint-disable-next-line no-await-in-loop -- one piece after the other
        const next = await source.next()
        if (next.done === true) break
        parts.push(next.value)
        length += next.value.length
      }
      held = Buffer.concat(parts)
      at = 0
      return length
    },
  }
}

const outputBytes = 64 * 1024

function unpackedBytes() {
  let whole: Buffer[] = []
  let part = Buffer.allocUnsafe(outputBytes)
  let length = 0
  return {
    writeByte: (byte: number): void => {
      part[length] = byte
      length += 1
      if (length < outputBytes) return
      whole.push(part)
      part = Buffer.allocUnsafe(outputBytes)
      length = 0
    },
    take: (): readonly Buffer[] => {
      const taken = [...whole, part.subarray(0, length)]
      whole = []
      part = Buffer.allocUnsafe(outputBytes)
      length = 0
      return taken
    },
  }
}
