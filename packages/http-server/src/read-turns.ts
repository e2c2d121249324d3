import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import { plainAddress } from '@ipfleet/net/client-address.ts'

/** Between two turns. A read of 64 KiB in tiny chunks, or of requests sent ahead, takes about half of this time. */
const everyMs = 20

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
  #timer: NodeJS.Timeout | undefined

  add(socket: Socket): void {
    const client = clientOf(socket)
    const own = this.#open.get(client) ?? new Set()
    this.#open.set(client, own.add(socket))
    socket.once('close', () => {
      own.delete(socket)
      this.#resting.delete(socket)
      if (own.size === 0) this.#open.delete(client)
    })
  }

  /** The connection has brought much: what its client sends on others is read in the next turn. */
  restOthers(socket: Socket): void {
    for (const other of this.#open.get(clientOf(socket)) ?? []) {
      // What is paused is not read anyway, and whoever has paused it knows until when.
      if (other === socket || other.isPaused()) continue
      stop(other)
      this.#resting.add(other)
    }
    this.#timer ??= setInterval(() => this.#next(), everyMs).unref()
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

  #next(): void {
    if (this.#resting.size === 0 && this.#lines.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
      return
    }
    for (const socket of this.#resting) start(socket)
    this.#resting.clear()
    const [longest] = this.#lines
    if (longest) this.#release(...longest)
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
