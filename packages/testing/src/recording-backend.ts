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

/** A backend that keeps what it gets, and reads requests out of it by the strictest reading there is. */
export class RecordingBackend implements AsyncDisposable {
  /** What came over each connection and is no whole request, or not yet. Latin-1. */
  readonly unfinished: string[] = []
  /** Why something was no request. */
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

  /** Forgets what came; connections stay. */
  forget(): void {
    this.unfinished.fill('')
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
    const connection = this.unfinished.push('') - 1
    let unread = ''
    this.#open.add(socket)
    socket.on('close', () => this.#open.delete(socket))
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      const { requests, fault, rest } = readStrictly(unread + bytes.toString('latin1'))
      unread = rest
      this.unfinished[connection] = rest
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

/** Answers with what it got, as JSON; to HEAD with nothing. */
export function echo(request: SeenRequest, socket: Socket): void {
  if (request.method === 'HEAD') {
    socket.write('HTTP/1.1 204 No Content\r\n\r\n')
    return
  }
  const body = JSON.stringify(request)
  socket.write(
    `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}

/** All values of a field, in any letter case. */
export function valuesOf({ fields }: StrictRequest, wanted: string): string[] {
  return fields.filter(([name]) => name.toLowerCase() === wanted.toLowerCase()).map(([, value]) => value)
}
