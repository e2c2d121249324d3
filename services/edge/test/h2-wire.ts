import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'
import { until } from '@ipfleet/testing/until.ts'

/** Names and values as they shall stand on the wire, whatever HTTP/2 allows there. Latin-1. */
export type H2Fields = readonly (readonly [name: string, value: string])[]

export type H2End =
  | { readonly kind: 'answered'; readonly body: string }
  /** RST_STREAM, or GOAWAY for the whole connection. */
  | { readonly kind: 'reset'; readonly code: number }
  | { readonly kind: 'closed' }

/** RFC 9113 §6. */
export const h2 = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  CONTINUATION: 9,
  END_STREAM: 1,
  END_HEADERS: 4,
} as const

/** A connection of HTTP/2 to 127.0.0.1, frame by frame: a client library would refuse to send what is sent here. */
export class H2Wire {
  /** Resolves when the server has closed it. */
  readonly ended: Promise<void>
  readonly socket: TLSSocket
  #received: Buffer = Buffer.alloc(0)
  #closed = false
  #stream = -1

  /** `settings`: the payload of the first frame; `from`: the client's own address. */
  static async to(port: number, settings: Buffer = Buffer.alloc(0), from = '127.0.0.1'): Promise<H2Wire> {
    const local = { host: '127.0.0.1', localAddress: from }
    const socket = connect({ port, ...local, ALPNProtocols: ['h2'], rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    return new H2Wire(socket, settings)
  }

  private constructor(socket: TLSSocket, settings: Buffer) {
    this.socket = socket
    const { promise, resolve } = Promise.withResolvers<void>()
    this.ended = promise
    socket.on('data', (bytes: Buffer) => (this.#received = Buffer.concat([this.#received, bytes])))
    socket.on('close', () => {
      this.#closed = true
      resolve()
    })
    socket.on('error', () => {})
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    this.frame(h2.SETTINGS, 0, 0, settings)
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Sends the head of a request, and gives the number of its stream. */
  begin(fields: H2Fields, flags: number = h2.END_HEADERS | h2.END_STREAM): number {
    this.#stream += 2
    this.frame(h2.HEADERS, flags, this.#stream, headerBlock(fields))
    return this.#stream
  }

  /** One request; resolves when its stream has ended in one way or another. */
  async ask(fields: H2Fields, body?: string, trailers?: H2Fields): Promise<H2End> {
    const stream = this.begin(fields, h2.END_HEADERS | (body === undefined ? h2.END_STREAM : 0))
    const last = trailers === undefined ? h2.END_STREAM : 0
    if (body !== undefined) this.frame(h2.DATA, last, stream, Buffer.from(body, 'latin1'))
    if (trailers !== undefined) this.frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, stream, headerBlock(trailers))
    return this.endOf(stream)
  }

  /** Whether these words stand in anything that the server has sent. */
  heard(words: string): boolean {
    return this.#received.includes(words)
  }

  endOf(stream: number): Promise<H2End> {
    return until(() => this.#endOf(stream))
  }

  /** False when the bytes have to wait in this process. When the server has hung up, nothing is sent. */
  frame(type: number, flags: number, stream: number, payload: Buffer): boolean {
    if (!this.socket.writable) return true
    const head = Buffer.alloc(9)
    head.writeUIntBE(payload.length, 0, 3)
    head.writeUInt8(type, 3)
    head.writeUInt8(flags, 4)
    head.writeUInt32BE(stream, 5)
    return this.socket.write(Buffer.concat([head, payload]))
  }

  destroy(): void {
    this.socket.destroy()
  }

  #endOf(wanted: number): H2End | undefined {
    let body = ''
    for (const { type, flags, stream, payload } of framesIn(this.#received)) {
      if (type === h2.GOAWAY && payload.readUInt32BE(4) !== 0) return { kind: 'reset', code: payload.readUInt32BE(4) }
      if (stream !== wanted) continue
      if (type === h2.RST_STREAM) return { kind: 'reset', code: payload.readUInt32BE(0) }
      if (type === h2.DATA) body += payload.toString('latin1')
      const isLast = (type === h2.DATA || type === h2.HEADERS) && (flags & h2.END_STREAM) !== 0
      if (isLast) return { kind: 'answered', body }
    }
    return this.#closed ? { kind: 'closed' } : undefined
  }
}

function* framesIn(bytes: Buffer) {
  for (let at = 0; at + 9 <= bytes.length;) {
    const end = at + 9 + bytes.readUIntBE(at, 3)
    if (end > bytes.length) return
    const [type, flags] = [bytes.readUInt8(at + 3), bytes.readUInt8(at + 4)]
    yield { type, flags, stream: bytes.readUInt32BE(at + 5), payload: bytes.subarray(at + 9, end) }
    at = end
  }
}

/** RFC 7541 §6.2.2: literal fields, without the tables and without Huffman's code. */
export function headerBlock(fields: H2Fields): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]))
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes])
  const rest = bytes.length - 127
  return Buffer.concat([Buffer.from([127, (rest & 127) | 128, rest >> 7]), bytes])
}
