import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { readStrictly, type StrictRequest } from './strict-request-reader.ts'

/** A request that a backend has received in full. */
export interface SeenRequest extends StrictRequest {
  /** Which of its connections it came on, counted from 0. */
  readonly connection: number
}

/** Writes the answer to a request. */
export type Answerer = (request: SeenRequest, socket: Socket) => void

/** A backend that keeps every byte it gets, and reads requests out of them by the strictest reading there is. */
export class RecordingBackend implements AsyncDisposable {
  /** What came over each connection, Latin-1. */
  readonly received: string[] = []
  /** What was no request. */
  readonly faults: string[] = []
  answer: Answerer = echo
  readonly #server: Server
  readonly #open = new Set<Socket>()
  #requests: SeenRequest[] = []

  /** Listens on a free port of 127.0.0.1. */
  static async start(answer: Answerer = echo): Promise<RecordingBackend> {
    const backend = new RecordingBackend()
    backend.answer = answer
    backend.#server.listen(0, '127.0.0.1')
    await once(backend.#server, 'listening')
    return backend
  }

  private constructor() {
    this.#server = createServer({ noDelay: true }, (socket) => this.#serve(socket))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Those that came in full, over all connections, in the order of their ends. */
  get requests(): readonly SeenRequest[] {
    return this.#requests
  }

  get openConnections(): number {
    return this.#open.size
  }

  /** Everything that came, over all connections. */
  get text(): string {
    return this.received.join('')
  }

  /** Forgets what came, and closes what is open, so that the next request begins a new connection. */
  async clear(): Promise<void> {
    const closing = [...this.#open].map((socket) => once(socket, 'close'))
    for (const socket of this.#open) socket.destroy()
    await Promise.all(closing)
    this.received.length = 0
    this.faults.length = 0
    this.#requests = []
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#open) socket.destroy()
    await closed
  }

  #serve(socket: Socket): void {
    const connection = this.received.push('') - 1
    let unread = ''
    this.#open.add(socket)
    socket.on('close', () => this.#open.delete(socket))
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      this.received[connection] += bytes.toString('latin1')
      const { requests, fault, rest } = readStrictly(unread + bytes.toString('latin1'))
      unread = rest
      for (const request of requests) {
        const seen = { ...request, connection }
        this.#requests.push(seen)
        this.answer(seen, socket)
      }
      if (fault === undefined) return
      this.faults.push(fault)
      socket.destroy()
    })
  }
}

/** Answers with what it got, as JSON. */
export function echo(request: SeenRequest, socket: Socket): void {
  const body = JSON.stringify(request)
  socket.write(
    `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}

/** All values of a field, in any letter case. */
export function valuesOf({ fields }: StrictRequest, wanted: string): string[] {
  return fields.filter(([name]) => name.toLowerCase() === wanted.toLowerCase()).map(([, value]) => value)
}
