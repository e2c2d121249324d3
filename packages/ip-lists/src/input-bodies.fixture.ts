import { Readable } from 'node:stream'
import type { InputForm } from './input-form.ts'
import { readInputs } from './read-inputs.ts'

/** A stream that sends `bytes` in pieces of `size` bytes. */
export function inPieces(bytes: Buffer, size = bytes.length): Readable {
  function* pieces(): Generator<Buffer> {
    for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size)
  }
  return Readable.from(pieces(), { objectMode: false })
}

/** Every input of a body that comes in pieces of `size` bytes. */
export async function inputsOf(
  body: string | Buffer | AsyncIterable<Buffer>,
  form: InputForm,
  { size, maxLines = 1e6 }: { readonly size?: number; readonly maxLines?: number } = {},
): Promise<string[]> {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  const pieces: AsyncIterable<Buffer> = Buffer.isBuffer(bytes) ? inPieces(bytes, size) : bytes
  const inputs: string[] = []
  for await (const group of readInputs(pieces, form, { maxLines })) inputs.push(...group)
  return inputs
}
