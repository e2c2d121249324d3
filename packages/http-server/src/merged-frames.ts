import { type IncomingHttpHeaders, Http2ServerRequest, type ServerHttp2Stream } from 'node:http2'
import type { ReadableOptions } from 'node:stream'
import { mergeChunks } from './merged-chunks.ts'

/** As `MergedChunksRequest`, for HTTP/2, of which a read of 64 KiB can bring 6,000 DATA frames of one byte. */
export class MergedFramesRequest extends Http2ServerRequest {
  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    options: ReadableOptions,
    rawHeaders: readonly string[],
  ) {
    super(stream, headers, options, rawHeaders)
    mergeChunks(this)
  }
}
