import { createReadStream, type ReadStream, type Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Readable } from 'node:stream'
import { usageFault } from './command-fault.ts'
import type { ListForm } from './list-form.ts'
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
  open(): OpenSource
}

export interface OpenSource {
  readonly stream: Readable
  readonly bytesRead: () => number
}

/**
 * @param folder where relative paths begin
 * @throws CommandFault with exit code 2 for a file that is not there
 */
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
  const open = (): OpenSource => ({
    stream: Readable.from([Buffer.from(`${addresses.join('\n')}\n`)]),
    bytesRead: () => 0,
  })
  return { name: 'the command line', form: 'lines', print: undefined, open }
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
  const open = (): OpenSource => ({ stream: stdin, bytesRead: () => bytesReadOf(stdin) })
  return { name: 'standard input', form, print: undefined, open }
}

/** Standard input may be a socket, a file or a terminal. */
function bytesReadOf(stream: Readable): number {
  return 'bytesRead' in stream && typeof stream.bytesRead === 'number' ? stream.bytesRead : 0
}

async function fileSource(input: string, form: ListForm | undefined, folder: string): Promise<Source> {
  const path = resolve(folder, input)
  const stats = await statsOf(path, input)
  if (stats.isDirectory()) throw usageFault(`${input} is a folder, not a list`)
  const open = (): OpenSource => {
    const stream: ReadStream = createReadStream(path)
    return { stream, bytesRead: () => stream.bytesRead }
  }
  const print = stats.isFile() ? { path, bytes: stats.size, modifiedMs: Math.round(stats.mtimeMs) } : undefined
  return { name: input, form, print, open }
}

async function statsOf(path: string, name: string): Promise<Stats> {
  try {
    return await stat(path)
  } catch (error) {
    throw usageFault(`${name} cannot be read (${errorCode(error) ?? 'unknown'})`)
  }
}
