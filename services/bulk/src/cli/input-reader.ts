import { type InputForm, inputFormOf } from '../input/input-form.ts'
import { DecodedBody } from '../input/decoded-body.ts'
import { readInputs } from '../input/read-inputs.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { failure } from './command-fault.ts'
import type { OpenSource, Source } from './sources.ts'

/** No list is held in memory, so that it may have any length. */
const unlimited = { maxLines: Infinity }

/** The inputs of several lists, one list after the other, in groups of any size. */
export class InputReader {
  readonly #sources: readonly Source[]
  readonly #column: string | undefined
  #open: OpenSource | undefined
  #bytesOfClosed = 0
  #lines = 0

  constructor(sources: readonly Source[], column: string | undefined) {
    this.#sources = sources
    this.#column = column
  }

  /** Of the files, so far. */
  get bytesRead(): number {
    return this.#bytesOfClosed + (this.#open?.bytesRead() ?? 0)
  }

  /** How many inputs there are in files of so many bytes, if those to come are as those that were read. */
  expectedLines(bytes: number): number | undefined {
    return this.bytesRead === 0 ? undefined : Math.round((this.#lines * bytes) / this.bytesRead)
  }

  /**
   * @param skip so many inputs are left out at the start
   * @throws CommandFault for a list that cannot be read to its end
   */
  async *inputs(skip = 0): AsyncGenerator<readonly string[]> {
    let left = skip
    for (const source of this.#sources) {
      for await (const group of this.#inputsOf(source)) {
        this.#lines += group.length
        const wanted = group.slice(left)
        left -= group.length - wanted.length
        if (wanted.length > 0) yield wanted
      }
    }
  }

  async *#inputsOf(source: Source): AsyncGenerator<readonly string[]> {
    const open = source.open()
    this.#open = open
    try {
      yield* readInputs(new DecodedBody(open.stream, undefined), formOf(source, this.#column), unlimited)
    } catch (error) {
      throw readingFailure(source, error)
    } finally {
      this.#bytesOfClosed += open.bytesRead()
      this.#open = undefined
      open.stream.destroy()
    }
  }
}

function formOf({ form }: Source, column: string | undefined): InputForm {
  return inputFormOf({ format: form, ...(form !== 'lines' && { column }) })
}

function readingFailure({ name }: Source, error: unknown): Error {
  if (!(error instanceof ProxyError)) return error instanceof Error ? error : failure(`${name}: ${String(error)}`)
  // So DecodedBody reports that its source has failed.
  const why = error.code === 'client_left' && error.cause instanceof Error ? error.cause.message : error.message
  return failure(`${name}: ${why}`, error)
}
