import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate, inflateRaw, type InputType, zstdDecompress } from 'node:zlib'
import { errorCode } from '@ipfleet/core/error-code.ts'
import { bodyTooLarge, failureWithCode } from './transport.ts'

type Decoder = (bytes: InputType, options: { readonly maxOutputLength: number }) => Promise<Buffer>

/** Some servers send raw DEFLATE data for `deflate`, without the header of zlib (RFC 9110 §8.4.1.2). */
const inflateEither: Decoder = (bytes, options) => {
  const hasHeader = Buffer.isBuffer(bytes) && ((bytes[0] ?? 0) & 0x0f) === 8
  return promisify<InputType, object, Buffer>(hasHeader ? inflate : inflateRaw)(bytes, options)
}
const decoders: Readonly<Record<string, Decoder>> = {
  gzip: promisify<InputType, object, Buffer>(gunzip),
  deflate: inflateEither,
  br: promisify<InputType, object, Buffer>(brotliDecompress),
  zstd: promisify<InputType, object, Buffer>(zstdDecompress),
}

/** For Accept-Encoding. */
export const acceptedCodings = Object.keys(decoders).join(', ')

/**
 * The body without its content coding (RFC 9110 §8.4); as it is where the coding is none that was asked for.
 * @throws TransportError for what is no such coding, or longer than `maxBytes`
 */
export async function decoded(body: Buffer, coding: string, maxBytes: number): Promise<Buffer> {
  const name = coding.toLowerCase()
  const decode = Object.hasOwn(decoders, name) ? decoders[name] : name === 'x-gzip' ? decoders['gzip'] : undefined
  if (decode === undefined || body.length === 0) return body
  try {
    return await decode(body, { maxOutputLength: maxBytes })
  } catch (error) {
    const code = errorCode(error) ?? 'unknown'
    throw code === 'ERR_BUFFER_TOO_LARGE' ? bodyTooLarge(maxBytes) : failureWithCode(code)
  }
}
