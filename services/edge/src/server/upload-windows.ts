import type { ServerHttp2Session } from 'node:http2'
import type { SharedQuota } from '@ipfleet/proxy/http1/shared-quota.ts'

/** RFC 9113 §6.9.2: what a connection and a stream begin with. */
const initialBytes = 65_535
/** A connection gets one part in so many of what is left, so that there is always some for the next. */
const shareOfFree = 4
/** A window that grows by less is not worth a frame. */
const minBytes = 65_536

/**
 * How far clients of HTTP/2 may send ahead (RFC 9113 §5.2). With the window that a connection begins with, an upload is
 * no faster than 64 KiB for each round trip. What is beyond that is memory which clients may fill while backends take
 * nothing, so all connections share it; what a connection has been given cannot be taken back before it is closed.
 */
export class UploadWindows {
  readonly #memory: SharedQuota
  readonly #given = new WeakMap<ServerHttp2Session, number>()

  constructor(memory: SharedQuota) {
    this.#memory = memory
  }

  /** `client`: whose share it is of; undefined: a proxy's, whose connections carry the requests of many. */
  add(session: ServerHttp2Session, client: string | undefined): void {
    this.#given.set(session, 0)
    session.once('close', () => this.#memory.release(client, this.#given.get(session)))
    this.#give(session, client)
  }

  /** For a connection that begins an upload, and found little left before. */
  widen(session: ServerHttp2Session, client: string | undefined): void {
    // Node ends a session that leaves ten of them without an answer.
    if (!session.destroyed && !session.pendingSettingsAck) this.#give(session, client)
  }

  #give(session: ServerHttp2Session, client: string | undefined): void {
    const given = this.#given.get(session) ?? 0
    const further = this.#take(client, Math.floor((this.#memory.free + given) / shareOfFree) - given)
    if (further === 0) return
    this.#given.set(session, given + further)
    const windowBytes = initialBytes + given + further
    session.setLocalWindowSize(windowBytes)
    session.settings({ initialWindowSize: windowBytes })
  }

  /** As much of so many bytes as there is for this client, by halves. */
  #take(client: string | undefined, most: number): number {
    for (let bytes = most; bytes >= minBytes; bytes = Math.floor(bytes / 2)) {
      if (this.#memory.take(client, bytes) === undefined) return bytes
    }
    return 0
  }
}
