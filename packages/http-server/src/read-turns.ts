import type { IncomingMessage } from 'node:http'
import type { Http2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { type ReadSource, SessionSource, SocketSource } from './read-source.ts'

/** At least, between two turns. */
const minRestMs = 20
/** Clients rest for so many times as long as the last turn took, so that the others have most of the event loop. */
const restPerTurn = 2
/** The rest is no longer than this where the machine is busy with other things. */
const maxRestMs = 200

/**
 * Reads what takes long to handle in turns: one connection in each, of another client each time. Node 26 reads 64 KiB of
 * every connection, and up to 2 MiB of one, before it does anything else. What a read brings is known only when it has
 * been handled, so that the client's other connections rest until the next turn.
 */
export class ReadTurns {
  readonly #sources = new WeakMap<Socket | Http2Session, ReadSource>()
  readonly #open = new Map<string, Set<ReadSource>>()
  /** Connections that wait for their turn, each with what then starts it, by client. */
  readonly #lines = new Map<string, Map<ReadSource, () => void>>()
  readonly #resting = new Set<ReadSource>()
  /** Their new connections rest too. */
  readonly #restingClients = new Set<string>()
  #isPlanned = false

  add(socket: Socket): void {
    socket.once('close', this.#added(socket, new SocketSource(socket)))
  }

  addSession(session: Http2Session): void {
    session.once('close', this.#added(session, new SessionSource(session)))
  }

  /** @returns what to call when it is closed */
  #added(connection: Socket | Http2Session, source: ReadSource): () => void {
    const { client } = source
    this.#sources.set(connection, source)
    const own = this.#open.getOrInsert(client, new Set()).add(source)
    if (this.#restingClients.has(client)) this.#rest(source)
    return () => {
      own.delete(source)
      this.#resting.delete(source)
      if (own.size === 0) this.#open.delete(client)
    }
  }

  /** The connection has brought much: what its client sends on others is read in the next turn. */
  restOthers(socket: Socket): void {
    const source = this.#sources.get(socket)
    if (source) this.#restOthers(source)
  }

  /** The same, and the connection of this request waits for a turn too. */
  hold(req: IncomingMessage): void {
    const { socket } = req
    const source = this.#sources.get(socket)
    if (!(source instanceof SocketSource)) return
    this.#hold(source, () => {
      // A request that is full starts its socket itself when it has room.
      if (req.readableEnded || req.readableLength < req.readableHighWaterMark) source.start()
      else source.leave()
    })
  }

  holdSession(session: Http2Session): void {
    const source = this.#sources.get(session)
    if (source) this.#hold(source, () => source.start())
  }

  #hold(source: ReadSource, start: () => void): void {
    const { client } = source
    const line = this.#lines.get(client) ?? new Map<ReadSource, () => void>()
    if (!source.isOpen || line.has(source)) return
    this.#lines.set(client, line.set(source, start))
    source.stop()
    this.#restOthers(source)
  }

  #restOthers(source: ReadSource): void {
    for (const other of this.#open.get(source.client) ?? []) {
      // What is paused is not read anyway, and resumed by the one that has paused it.
      if (other !== source && !other.isPaused) this.#rest(other)
    }
    this.#restingClients.add(source.client)
    this.#plan()
  }

  #rest(source: ReadSource): void {
    source.stop()
    this.#resting.add(source)
  }

  /** Plans the next turn. A read of 64 KiB in tiny chunks, or of requests sent ahead, takes 10 to 100 ms. */
  #plan(): void {
    if (this.#isPlanned) return
    this.#isPlanned = true
    const startedMs = performance.now()
    // By then, all that was read in this turn of the event loop has been handled.
    setImmediate(() => {
      const tookMs = performance.now() - startedMs
      setTimeout(() => this.#next(), Math.min(maxRestMs, Math.max(minRestMs, restPerTurn * tookMs))).unref()
    })
  }

  #next(): void {
    this.#isPlanned = false
    for (const source of this.#resting) if (this.#lines.get(source.client)?.has(source) !== true) source.start()
    this.#resting.clear()
    this.#restingClients.clear()
    const [longest] = this.#lines
    if (longest) this.#release(...longest)
    if (this.#lines.size > 0) this.#plan()
  }

  #release(client: string, line: Map<ReadSource, () => void>): void {
    this.#lines.delete(client)
    const [first] = line
    if (first === undefined) return
    const [source, start] = first
    line.delete(source)
    // Behind the other clients.
    if (line.size > 0) this.#lines.set(client, line)
    start()
  }
}

/** Of all servers of this process. */
export const readTurns = new ReadTurns()
