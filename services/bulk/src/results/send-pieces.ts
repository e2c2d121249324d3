import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { pipeline, type Writable } from 'node:stream'
import { constants, createGzip, type Gzip } from 'node:zlib'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'

export interface SendOptions {
  /** Compresses; the caller sets the header field. */
  readonly gzip: boolean
  /** Each piece is sent at once; compressing waits for more otherwise. */
  readonly prompt: boolean
  /** Aborts when the client has left. */
  readonly left: AbortSignal
  /**
   * A client that takes nothing for so long is disconnected; it can continue later where it was. Default 5 minutes.
   */
  readonly maxStallMs?: number | undefined
  /** Sent after the last piece, where the answer is chunked. */
  readonly trailers?: Readonly<Record<string, string>> | undefined
}

/** A third of the time of the usual level 6, for a tenth more bytes. */
const gzipLevel = 3

/**
 * Sends the body of an answer as its client takes it: no more than a piece or two are held for a slow one.
 * @throws what the pieces throw, and ProxyError `client_left`. The answer is cut off then, so that it
 * does not look complete.
 */
export async function sendPieces(
  res: ServerResponse,
  pieces: AsyncIterable<Buffer>,
  options: SendOptions,
): Promise<void> {
  const { gzip, prompt, trailers } = options
  const packer = gzip ? packerInto(res) : undefined
  const out: Writable = packer ?? res
  try {
    for await (const piece of pieces) {
      if (options.left.aborted) throw new ProxyError('client_left')
      const flows = out.write(piece)
      if (prompt) packer?.flush(constants.Z_SYNC_FLUSH)
      if (!flows || res.writableNeedDrain) await drained(flows ? res : out, res, options)
    }
  } catch (error) {
    packer?.destroy()
    throw error
  }
  if (trailers) res.addTrailers(trailers)
  out.end()
}

function packerInto(res: ServerResponse): Gzip {
  const packer = createGzip({ level: gzipLevel })
  // Destroying it destroys the answer, which is cut off then.
  pipeline(packer, res, () => {})
  return packer
}

async function drained(out: Writable, res: ServerResponse, { left, maxStallMs = 300_000 }: SendOptions): Promise<void> {
  const cut = setTimeout(() => res.destroy(), maxStallMs)
  try {
    await once(out, 'drain', { signal: left })
  } catch (cause) {
    throw new ProxyError('client_left', { cause })
  } finally {
    clearTimeout(cut)
  }
}
