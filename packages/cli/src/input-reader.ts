import { isAscii } from 'node:buffer'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { addressIn } from '@ipfleet/ip-lists/chunker.ts'
import { NetworkTooLarge } from '@ipfleet/ip-lists/address-text.ts'
import { DecodedBody } from '@ipfleet/ip-lists/decoded-body.ts'
import { peek, type Peeked } from '@ipfleet/ip-lists/peek.ts'
import { smallPieces, withoutMark } from '@ipfleet/ip-lists/read-inputs.ts'
import { maxInputBytes, tooLong } from '@ipfleet/ip-lists/line-inputs.ts'
import { CommandFault, failure, usageFault } from './command-fault.ts'
import { listForm, refuseForeign } from './list-form.ts'
import { type ListRow, type Own, type RowOptions, type RowsOfList, rowsOfColumns, rowsOfList } from './list-rows.ts'
import type { ParquetFile, ParquetType } from './parquet-file.ts'
import { moreCodings } from './more-codings.ts'
import { maxBytes, maxRatio } from './zip-member.ts'
import type { OpenSource, Source } from './sources.ts'

/** Enough of a list to tell its form. */
const sniffedBytes = 64 * 1024
/** So many rows without an address are held until one comes; a list that begins with more is taken as it is. */
const maxHeldRows = 200_000

/** The rows of several lists, one list after the other, in groups of any size. No list is held in memory. */
export class InputReader {
  readonly #sources: readonly Source[]
  readonly #options: RowOptions
  readonly #rows: AsyncGenerator<readonly ListRow[]>
  readonly #own: (Own | undefined)[] = []
  #held: (readonly ListRow[])[] = []
  #isPrepared = false
  #open: OpenSource | undefined
  #bytesOfClosed = 0
  #lines = 0
  /** Of the first list, once it is read from. */
  columns: readonly string[] | undefined
  /** Of those columns, where the first list is Parquet. */
  types: ReadonlyMap<string, ParquetType> | undefined
  readonly notes: string[] = []

  constructor(sources: readonly Source[], options: RowOptions) {
    this.#sources = sources
    this.#options = options
    this.#rows = this.#allRows()
  }

  /** Of the files, so far. */
  get bytesRead(): number {
    return this.#bytesOfClosed + (this.#open?.bytesRead() ?? 0)
  }

  /** How many inputs there are in files of so many bytes, if those to come are as those that were read. */
  expectedLines(bytes: number): number | undefined {
    return this.bytesRead === 0 ? undefined : Math.round((this.#lines * bytes) / this.bytesRead)
  }

  /** Reads until an address comes. @throws CommandFault where none does, or a list cannot be read */
  async prepare(): Promise<void> {
    this.#isPrepared = true
    let rows = 0
    while (rows < maxHeldRows) {
      const next = await this.#rows.next()
      if (next.done === true) throw this.#nothingFound(rows)
      this.#held.push(next.value)
      rows += next.value.length
      if (next.value.some(({ input }) => addressIn(input) !== undefined)) return
    }
  }

  /** Ends reading, wherever it is. */
  async close(): Promise<void> {
    await this.#rows.return(undefined)
  }

  /** @param skip so many rows are left out at the start. @throws CommandFault for a list that cannot be read to its end */
  async *rows(skip = 0): AsyncGenerator<readonly ListRow[]> {
    if (!this.#isPrepared) await this.prepare()
    let left = skip
    for await (const group of this.#heldAndMore()) {
      this.#lines += group.length
      const wanted = group.slice(left)
      left -= group.length - wanted.length
      if (wanted.length > 0) yield wanted
    }
  }

  /** @param keepsOwn what the rows have of their own is remembered until `takeOwn` */
  async *inputs(skip = 0, keepsOwn = false): AsyncGenerator<readonly string[]> {
    for await (const group of this.rows(skip)) {
      if (keepsOwn) for (const { own } of group) this.#own.push(own)
      yield group.map(({ input }) => input)
    }
  }

  /** What the next rows of `inputs` have of their own. */
  takeOwn(count: number): readonly (Own | undefined)[] {
    return this.#own.splice(0, count)
  }

  async *#heldAndMore(): AsyncGenerator<readonly ListRow[]> {
    const held = this.#held
    this.#held = []
    yield* held
    yield* this.#rows
  }

  async *#allRows(): AsyncGenerator<readonly ListRow[]> {
    for (const [at, source] of this.#sources.entries()) {
      yield* readSource(source, (open) => this.#rowsIn(source, open, at === 0))
    }
  }

  async *#rowsIn(source: Source, open: OpenSource, isFirst: boolean): AsyncGenerator<readonly ListRow[]> {
    this.#open = open
    try {
      const { columns, notes, rows } = await this.#listIn(source, open)
      if (isFirst) this.columns = columns
      if (isFirst && open.kind === 'parquet') this.types = open.file.types
      this.notes.push(...notes.map((note) => (this.#sources.length > 1 ? `${source.name}: ${note}` : note)))
      yield* rows
    } finally {
      this.#bytesOfClosed += open.bytesRead()
      this.#open = undefined
    }
  }

  async #listIn(source: Source, open: OpenSource): Promise<RowsOfList> {
    if (open.kind === 'parquet') return rowsOfColumns(open.file, this.#options)
    const { column } = this.#options
    const name = open.member === undefined ? source.name : `${open.member} in ${source.name}`
    const opened = await sniffed(openedText(source, open))
    refuseForeign(opened.head, name)
    const { head, all } = await withNewlines(await sniffed(inUtf8(opened.all)))
    const form = source.form ?? listForm(head, open.member ?? source.name)
    if (form === 'lines' && column !== undefined) {
      throw usageFault(`${name} is read as plain lines, which have no columns; see --input-format`)
    }
    return rowsOfList(smallPieces(all, { kind: form }), form, this.#options)
  }

  #nothingFound(rows: number): CommandFault {
    const names = this.#sources.map(({ name }) => name).join(', ')
    if (rows === 0) return failure(`${names}: nothing in it is an address; it is empty`)
    if (this.#options.addresses) return failure(`${this.#options.addresses.join(', ')}: nothing of it is an address`)
    const sample = this.#held.flat()[0]?.input.slice(0, 60) ?? ''
    return failure(
      `${names}: nothing in it is an address. ${rows} ${rows === 1 ? 'row was' : 'rows were'} looked at, the first is ${JSON.stringify(sample)}. ` +
        '--column names the column with the addresses, --extract all takes them out of other text',
    )
  }
}

const unpackLimits = { maxBytes, maxRatio, codings: moreCodings }

const sniffed = (pieces: AsyncIterable<Buffer>): Promise<Peeked> => peek(pieces, ({ length }) => length >= sniffedBytes)

/** Longest character of UTF-8, in bytes. */
const longestCharacter = 4

/** Excel writes CSV in Windows-1252. The first character beyond ASCII tells, which may come late. */
async function* inUtf8(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let read: ((piece: Buffer) => Buffer) | undefined
  /** That character, as long as it may be cut off. */
  let rest: Buffer = Buffer.alloc(0)
  for await (const next of pieces) {
    const piece = rest.length === 0 ? next : Buffer.concat([rest, next])
    const start = read || isAscii(piece) ? piece.length : piece.findIndex((byte) => byte > lastOfAscii)
    const isCutOff = start < piece.length && start + longestCharacter > piece.length
    if (start < piece.length && !isCutOff) read = readerOf(piece, true)
    rest = isCutOff ? piece.subarray(start) : Buffer.alloc(0)
    const whole = isCutOff ? piece.subarray(0, start) : piece
    yield read ? read(whole) : whole
  }
  if (rest.length > 0) yield readerOf(rest, false)(rest)
}

/** @param stream the last character may be cut off */
function readerOf(begin: Buffer, stream: boolean): (piece: Buffer) => Buffer {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(begin, { stream })
    return (piece) => piece
  } catch {
    const decoder = new TextDecoder('windows-1252')
    return (piece) => Buffer.from(decoder.decode(piece))
  }
}

/** Excel's text for the Macintosh has CR alone as line ends. */
async function withNewlines({ head, all }: Peeked): Promise<Peeked> {
  if (!head.includes('\r') || head.includes('\n')) return { head, all }
  const newlines = async function* (): AsyncGenerator<Buffer> {
    for await (const piece of all) yield Buffer.from(piece.toString('latin1').replaceAll('\r', '\n'), 'latin1')
  }
  return sniffed(newlines())
}

/** Unpacked, and in UTF-8 where a mark says what it is in. What is packed again inside of an archive is left so. */
function openedText(
  { name }: Source,
  { stream, member }: Extract<OpenSource, { kind: 'text' }>,
): AsyncIterable<Buffer> {
  if (member !== undefined) return withoutMark(stream)
  return withoutMark(new DecodedBody(stream, /\.br$/i.test(name) ? 'br' : undefined, unpackLimits))
}

/**
 * Texts that have addresses in them, whose lines may be long, and of Parquet its rows.
 * @throws CommandFault for what cannot be read to its end
 */
export async function* searchedTexts(sources: readonly Source[]): AsyncGenerator<readonly string[]> {
  for (const source of sources) {
    yield* readSource(source, (open) =>
      open.kind === 'text' ? textBlocks(openedText(source, open)) : parquetLines(open.file),
    )
  }
}

/** Blocks that end where no address does, nor what tells one from other text. */
async function* textBlocks(pieces: AsyncIterable<Buffer>): AsyncGenerator<readonly string[]> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const piece of pieces) {
    const text = rest.length === 0 ? piece : Buffer.concat([rest, piece])
    let end = text.length
    while (end > 0 && !isBreak(text, end - 1)) end -= 1
    yield [text.toString('utf8', 0, end)]
    rest = text.subarray(end)
    if (rest.length > maxInputBytes) throw tooLong('A text without blanks and quotes')
  }
  yield [rest.toString()]
}

const breaks: ReadonlySet<number> = new Set(Buffer.from('\t\n\r",;<=&|%\\+-!*@^~\'`$'))
/** But not before the version of a browser, which what is before the slash tells from an address. */
const beforeSlash = /^\w\/(?!\d+\.0|\d*\.?$)/
const longestVersion = 8
const lastOfAscii = 0x7f
/** The begin of a colour or a link in a terminal, which may have any of these in it. */
// oxlint-disable-next-line no-control-regex -- ESC and BEL are what begins and ends them
const openSequence = /\u001b(?:\[[\d;]*|\][^\u0007\u001b\n]*)$/
const longestSequence = 256

/**
 * A blank may stand before a port, or in `8 [.] 8`, but not between two letters or digits, nor behind another one. What
 * has many of these in a row is no address, and no part of one is near its middle.
 */
function isBreak(text: Buffer, at: number): boolean {
  const byte = text[at] ?? 0
  if (byte > lastOfAscii) return true
  if (breaks.has(byte) || beforeSlash.test(text.toString('latin1', at, at + longestVersion))) {
    return !openSequence.test(text.toString('latin1', at - longestSequence, at))
  }
  const isBlank = /^(?:\w \w$| {2})/.test(text.toString('latin1', at - 1, at + 2))
  return isBlank || /^\w{32}$/.test(text.toString('latin1', at - 15, at + 17))
}

async function* parquetLines(file: ParquetFile): AsyncGenerator<readonly string[]> {
  for await (const rows of file.rows()) yield rows.map((row) => JSON.stringify(Object.values(row)))
}

/** Opens a source for as long as it is read. A reader that ends early leaves the stream open. */
async function* readSource<Group>(
  source: Source,
  read: (open: OpenSource) => AsyncIterable<Group>,
): AsyncGenerator<Group> {
  const open = await source.open()
  try {
    yield* read(open)
  } catch (error) {
    throw readingFailure(source, error)
  } finally {
    if (open.kind === 'text') open.stream.destroy()
  }
}

function readingFailure({ name }: Source, error: unknown): Error {
  if (error instanceof NetworkTooLarge) {
    return usageFault(`${name}: ${error.message}; --networks first takes the first address of each network`)
  }
  if (!(error instanceof ProxyError)) return error instanceof Error ? error : failure(`${name}: ${String(error)}`)
  // So DecodedBody reports that its source has failed.
  const why = error.code === 'client_left' && error.cause instanceof Error ? error.cause.message : error.message
  return failure(`${name}: ${inWordsOfCommand(why)}`, error)
}

/** What reads the lists is the service's too, and names parameters of its URLs. */
function inWordsOfCommand(text: string): string {
  return text
    .replaceAll('?column=', '--column ')
    .replaceAll('?format=', '--input-format ')
    .replaceAll('The body', 'It')
    .replace(/ \(BULK_\w+\);.*/, '; if that is meant, unpack it first')
}
