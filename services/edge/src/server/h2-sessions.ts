import type { ServerHttp2Session } from 'node:http2'
import type { OtherConnections } from '@ipfleet/http/graceful-close.ts'

/** The connections of HTTP/2 that are open. */
export class H2Sessions implements OtherConnections {
  readonly #open = new Set<ServerHttp2Session>()
  #lastCloseMs = -Infinity

  add(session: ServerHttp2Session): void {
    this.#open.add(session)
    session.once('close', () => {
      this.#open.delete(session)
      this.#lastCloseMs = performance.now()
    })
  }

  lastOpenMs(): number {
    return this.#open.size > 0 ? performance.now() : this.#lastCloseMs
  }

  /** GOAWAY: what has begun is finished. */
  sayGoodbye(): void {
    for (const session of this.#open) session.close()
  }

  destroyAll(): void {
    for (const session of this.#open) session.destroy()
  }
}
