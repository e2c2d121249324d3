import { createReadStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Readable } from 'node:stream'
import { usageFault } from './command-fault.ts'
import type { ListForm } from './list-form.ts'
import { ParquetFile } from './parquet-file.ts'
import { openZipMember } from './zip-member.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'

/** By this a file is recognised. */
export interface FilePrint {
  readonly path: string
  readonly bytes: number
  readonly modifiedMs: number
}

export interface Source {
  readonly name: string
  /** Undefined: its content tells. */
  readonly form: ListForm | undefined
  /** Undefined for standard input and pipes, which can be read only once. */
  readonly print: FilePrint | undefined
  /** @throws CommandFault for an archive that is not one list, or a file that is broken */
  open(): Promise<OpenSource>
}

export type OpenSource =
  | {
      readonly kind: 'text'
      readonly stream: Readable
      readonly bytesRead: () => number
      /** Of the archive that the text is in. */
      readonly member?: string
    }
  | { readonly kind: 'parquet'; readonly file: ParquetFile; readonly bytesRead: () => number }

/** @param folder where relative paths begin. @throws CommandFault with exit code 2 for a file that is not there */
export function sourcesOf(
  inputs: readonly string[],
  form: ListForm | undefined,
  folder: string,
  stdin: Readable,
): Promise<readonly Source[]> {
  return Promise.all(
    inputs.map(async (input) => (input === '-' ? standardInput(form, stdin) : fileSource(input, form, folder))),
  )
}

/** Addresses of the command line, as a list that is never handed over as a job. */
export function givenSource(addresses: readonly string[]): Source {
  const list = Buffer.from(`${addresses.join('\n')}\n`)
  return { name: 'the command line', form: 'lines', print: undefined, open: async () => asText(Readable.from([list])) }
}

/** Whether all of them can be read from the start again. */
export function canReopen(sources: readonly Source[]): boolean {
  return sources.every(({ print }) => print !== undefined)
}

/** Bytes of all of them; undefined when that is not known. */
export function totalBytes(sources: readonly Source[]): number | undefined {
  return canReopen(sources) ? sources.reduce((sum, { print }) => sum + (print?.bytes ?? 0), 0) : undefined
}

function standardInput(form: ListForm | undefined, stdin: Readable): Source {
  return { name: 'standard input', form, print: undefined, open: async () => asText(stdin) }
}

const asText = (stream: Readable): OpenSource => ({ kind: 'text', stream, bytesRead: () => bytesReadOf(stream) })

/** Standard input may be a socket, a file or a terminal. */
function bytesReadOf(stream: Readable): number {
  return 'bytesRead' in stream && typeof stream.bytesRead === 'number' ? stream.bytesRead : 0
}

async function fileSource(input: string, form: ListForm | undefined, folder: string): Promise<Source> {
  const path = resolve(folder, input)
  const stats = await stat(path).catch((error: unknown) => {
    throw unreadable(input, error)
  })
  if (stats.isDirectory()) throw usageFault(`${input} is a folder, not a list`)
  const print = stats.isFile() ? { path, bytes: stats.size, modifiedMs: Math.round(stats.mtimeMs) } : undefined
  return {
    name: input,
    form,
    print,
    open: async () => (print ? openFile(path, input) : asText(createReadStream(path))),
  }
}

/** What is read from its end is told from other files by the first bytes. */
async function openFile(path: string, name: string): Promise<OpenSource> {
  const begin = await firstBytes(path, name)
  if (begin === 'PAR1') {
    const file = await ParquetFile.open(path, name)
    return { kind: 'parquet', file, bytesRead: () => file.bytesRead }
  }
  // An archive without a file begins with the end of its directory.
  if (begin !== 'PK\u0003\u0004' && begin !== 'PK\u0005\u0006') return asText(createReadStream(path))
  const { name: member, stream, bytesRead } = await openZipMember(path, name)
  return { kind: 'text', stream, bytesRead, member }
}

async function firstBytes(path: string, name: string): Promise<string> {
  try {
    await using file = await open(path, 'r')
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0)
    return buffer.toString('latin1', 0, bytesRead)
  } catch (error) {
    throw unreadable(name, error)
  }
}

const unreadable = (name: string, error: unknown): Error =>
  usageFault(`${name} cannot be read (${errorCode(error) ?? 'unknown'})`)
