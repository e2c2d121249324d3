import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type OriginAnswer = (response: ServerResponse, request: IncomingMessage) => void

/** Where databases are downloaded from. */
export class DatabaseOrigin implements AsyncDisposable {
  /** What it answers from now on. */
  answer: OriginAnswer = (response) => response.writeHead(404).end()
  /** The requests so far. */
  seen: { readonly path: string; readonly authorization?: string; readonly etag?: string }[] = []
  readonly #server = createServer((request, response) => {
    const { authorization, 'if-none-match': etag } = request.headers
    this.seen.push({
      path: request.url ?? '',
      ...(authorization !== undefined && { authorization }),
      ...(etag !== undefined && { etag }),
    })
    this.answer(response, request)
  })

  /** On a port of its own of 127.0.0.1. */
  static async start(): Promise<DatabaseOrigin> {
    const origin = new DatabaseOrigin()
    origin.#server.listen(0, '127.0.0.1')
    await once(origin.#server, 'listening')
    return origin
  }

  url(path: string): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`
  }

  /** Answers with that file, and with 304 whoever has it. */
  serve(bytes: Buffer, etag?: string): void {
    this.answer = (response, request) => {
      if (etag !== undefined) response.setHeader('etag', etag)
      if (etag !== undefined && request.headers['if-none-match'] === etag) response.writeHead(304).end()
      else response.end(bytes)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }
}
