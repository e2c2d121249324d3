import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import { plainAddress } from '@ipfleet/net/client-address.ts'

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
  readonly #open = new Map<string, Set<Socket>>()
  /** Requests whose connections wait for their turn, by client. */
  readonly #lines = new Map<string, Set<IncomingMessage>>()
  readonly #resting = new Set<Socket>()
  /** Their new connections rest too. */
  readonly #restingClients = new Set<string>()
  #isPlanned = false

  add(socket: Socket): void {
    const client = clientOf(socket)
    const own = this.#open.get(client) ?? new Set()
    this.#open.set(client, own.add(socket))
    if (this.#restingClients.has(client)) this.#rest(socket)
    socket.once('close', () => {
      own.delete(socket)
      this.#resting.delete(socket)
      if (own.size === 0) this.#open.delete(client)
    })
  }

  /** The connection has brought much: what its client sends on others is read in the next turn. */
  restOthers(socket: Socket): void {
    const client = clientOf(socket)
    for (const other of this.#open.get(client) ?? []) {
      // What is paused is not read anyway, and resumed by the one that has paused it.
      if (other !== socket && !other.isPaused()) this.#rest(other)
    }
    this.#restingClients.add(client)
    this.#plan()
  }

  /** The same, and its own connection waits for a turn too. */
  hold(req: IncomingMessage): void {
    const client = clientOf(req.socket)
    const line = this.#lines.get(client) ?? new Set()
    if (req.socket.destroyed || line.has(req)) return
    this.#lines.set(client, line.add(req))
    stop(req.socket)
    this.restOthers(req.socket)
  }

  #rest(socket: Socket): void {
    stop(socket)
    this.#resting.add(socket)
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
    for (const socket of this.#resting) start(socket)
    this.#resting.clear()
    this.#restingClients.clear()
    const [longest] = this.#lines
    if (longest) this.#release(...longest)
    if (this.#lines.size > 0) this.#plan()
  }

  #release(client: string, line: Set<IncomingMessage>): void {
    this.#lines.delete(client)
    const [req] = line
    if (req === undefined) return
    line.delete(req)
    // Behind the other clients.
    if (line.size > 0) this.#lines.set(client, line)
    // A request that is full starts its socket itself when it has room.
    if (req.readableEnded || req.readableLength < req.readableHighWaterMark) start(req.socket)
    else req.socket.off('resume', pauseAgain)
  }
}

function clientOf({ remoteAddress }: Socket): string {
  return addressSubject(plainAddress(remoteAddress))
}

/** Node 26 resumes the socket whenever a request wants more. */
function stop(socket: Socket): void {
  socket.off('resume', pauseAgain).on('resume', pauseAgain)
  socket.pause()
}

function start(socket: Socket): void {
  socket.off('resume', pauseAgain)
  socket.resume()
}

function pauseAgain(this: Socket): void {
  this.pause()
}

/** Of all servers of this process. */
export const readTurns = new ReadTurns()
