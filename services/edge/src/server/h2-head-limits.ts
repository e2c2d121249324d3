import type { IncomingMessage } from 'node:http'
import { constants, type ServerHttp2Stream, type ServerOptions } from 'node:http2'
import type { ServerConfig } from '../config/edge-config.ts'

export type HeadLimits = Pick<ServerConfig, 'maxHeaderBytes' | 'maxHeaders'>

/** What RFC 9113 §6.5.2 adds for each field. */
const fieldBytes = 32
/** HTTP/2 has these in the place of the request line and Host. */
const pseudoFields = 4
/** By which a head may be over the limits and still be read, for its client to be told. */
const spareBytes = 49_152
const spareFields = 100

/** What Node (26.10) reads of a head; beyond that it resets the stream, or ends the connection, without a word. */
export function readableHead({ maxHeaderBytes, maxHeaders }: HeadLimits): ServerOptions {
  const overhead = fieldBytes * (maxHeaders + pseudoFields)
  return {
    settings: { maxHeaderListSize: maxHeaderBytes + Math.max(spareBytes, overhead) },
    maxHeaderListPairs: maxHeaders + pseudoFields + spareFields,
  }
}

/** Counts as Node does with HTTP/1: the target, names and values. Of the pseudo-fields only Host is a field there. */
export function isHeadTooLarge(
  { rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>,
  { maxHeaderBytes, maxHeaders }: HeadLimits,
): boolean {
  let bytes = 0
  let count = 0
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    const isPseudo = name.startsWith(':')
    if (!isPseudo || name === ':authority') count += 1
    bytes += (isPseudo ? 0 : name.length) + (rawHeaders[index + 1] ?? '').length
  }
  return bytes > maxHeaderBytes || count > maxHeaders
}

/** Trailers may be as large as a head. No answer can tell it: the backend may have begun its own. */
export function limitTrailers(stream: ServerHttp2Stream, limits: HeadLimits): void {
  stream.once('trailers', (_trailers, _flags, rawHeaders: string[]) => {
    if (isHeadTooLarge({ rawHeaders }, limits)) stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM)
  })
}
