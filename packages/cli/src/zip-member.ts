import { PassThrough, pipeline, type Readable } from 'node:stream'
import { crc32 } from 'node:zlib'
import type { Entry, ZipFile } from 'yauzl'
import { inflatesOver } from '@ipfleet/ip-lists/decoded-body.ts'
import { failure, usageFault } from './command-fault.ts'

/** The one file in a ZIP archive. */
export interface ZipMember {
  readonly name: string
  readonly stream: Readable
  /** Packed bytes that were read so far, by the share of the file that has come out. */
  readonly bytesRead: () => number
}

/** Archives with more entries are not searched for the one that is a list. */
const maxEntries = 100
/** Of a list, unpacked. */
export const maxBytes = 64 * 2 ** 30
/** Deflate makes a byte of up to 1032. Logs and lists have a ratio of 5 to 50. */
export const maxRatio = 200
const shownNames = 3

/**
 * Opens the only file of an archive. Folders, and what macOS and Windows add (`__MACOSX/`, `Thumbs.db`), do not count.
 * @param name of the archive, for messages
 * @throws CommandFault with exit code 2 for an archive that is not one list: of several files, encrypted, a workbook,
 * larger than the caps, or packed by another method than Deflate. The stream fails where the content is broken.
 */
export async function openZipMember(path: string, name: string): Promise<ZipMember> {
  const zip = await openArchive(path, name)
  try {
    const entry = onlyFile(await filesOf(zip, name), name)
    refuseUnreadable(entry, name)
    const { fileName, compressedSize, uncompressedSize } = entry
    let bytes = 0
    const stream = checked(await zip.openReadStreamPromise(entry), entry, (piece) => (bytes += piece.length))
    stream.once('close', () => zip.close())
    const bytesRead = (): number => Math.round((compressedSize * bytes) / Math.max(1, uncompressedSize))
    return { name: fileName, stream, bytesRead }
  } catch (error) {
    zip.close()
    throw error
  }
}

async function openArchive(path: string, name: string): Promise<ZipFile> {
  const { openPromise } = await import('yauzl')
  try {
    return await openPromise(path, { autoClose: false })
  } catch (error) {
    throw brokenArchive(name, error)
  }
}

async function filesOf(zip: ZipFile, name: string): Promise<readonly Entry[]> {
  if (zip.entryCount > maxEntries) throw usageFault(`${name} holds ${zip.entryCount} files; ${oneIsRead(name)}`)
  const files: Entry[] = []
  try {
    for await (const entry of zip.eachEntry()) {
      if (!/\/$|^__MACOSX\/|(?:^|\/)(?:\.DS_Store|Thumbs\.db|desktop\.ini)$/i.test(entry.fileName)) files.push(entry)
    }
  } catch (error) {
    throw brokenArchive(name, error)
  }
  return files
}

/** By what is in them. */
const documents = [
  ['xl/', 'an Excel workbook', 'save it as CSV UTF-8 or Unicode text'],
  ['word/', 'a Word document', 'save it as plain text'],
  ['Index/', 'a document of Numbers or Pages', 'export it as CSV'],
  ['mimetype', 'a document of LibreOffice or the like', 'save it as CSV in UTF-8, or as text'],
] as const

function onlyFile(files: readonly Entry[], name: string): Entry {
  const names = files.map(({ fileName }) => fileName)
  const document = documents.find(([member]) => names.some((one) => one.startsWith(member)))
  if (document !== undefined) throw usageFault(`${name} is ${document[1]}, which is not read; ${document[2]}`)
  const [only] = files
  if (only === undefined) throw usageFault(`${name} holds no file`)
  if (files.length === 1) return only
  const shown = names.slice(0, shownNames).join(', ')
  const more = names.length > shownNames ? ', …' : ''
  throw usageFault(`${name} holds ${names.length} files (${shown}${more}); ${oneIsRead(name, only.fileName)}`)
}

const oneIsRead = (name: string, member = 'MEMBER'): string =>
  `an archive of one is read. Pipe that one in: unzip -p ${name} ${member} | … -`

function refuseUnreadable(entry: Entry, name: string): void {
  const { fileName, compressedSize, uncompressedSize, compressionMethod } = entry
  const member = `${fileName} in ${name}`
  if (entry.isEncrypted()) throw usageFault(`${member} is encrypted; unpack it first: 7z x ${name}`)
  if (!entry.canDecodeFileData()) {
    throw usageFault(
      `${member} is packed by method ${compressionMethod}, which is not read; unpack it first: 7z x ${name}`,
    )
  }
  if (uncompressedSize > maxBytes) {
    throw usageFault(`${member} has ${uncompressedSize} bytes, more than ${maxBytes}; unpack it and split it`)
  }
  if (inflatesOver(maxRatio, compressedSize, uncompressedSize)) {
    throw usageFault(
      `${member} inflates to over ${maxRatio} times its size; if that is meant, unpack it first: unzip ${name}`,
    )
  }
}

/** yauzl 3.4 holds the content to the size that the archive tells, and does not look at the checksum. */
function checked(content: Readable, { fileName, crc32: expected }: Entry, onPiece: (piece: Buffer) => void): Readable {
  let sum = 0
  const source = async function* (pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const piece of pieces) {
      sum = crc32(piece, sum)
      onPiece(piece)
      yield piece
    }
    if (sum !== expected) throw new Error(`${fileName} in it is broken: its checksum is another`)
  }
  // The reader of the last stream meets the failure of each.
  return pipeline(content, source, new PassThrough(), () => undefined)
}

const brokenArchive = (name: string, cause: unknown): Error =>
  failure(`${name} is a ZIP archive that is broken or cut short`, cause)
