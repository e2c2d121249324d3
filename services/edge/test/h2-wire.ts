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

const [DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY] = [0, 1, 3, 4, 7]
const [END_STREAM, END_HEADERS] = [1, 4]

/** A connection of HTTP/2 to 127.0.0.1, written frame by frame: a client library would refuse to send what is sent here. */
export class H2Wire {
  readonly #socket: TLSSocket
  #received: Buffer = Buffer.alloc(0)
  #closed = false
  #stream = -1

  static async to(port: number): Promise<H2Wire> {
    const socket = connect({ port, host: '127.0.0.1', ALPNProtocols: ['h2'], rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    return new H2Wire(socket)
  }

  private constructor(socket: TLSSocket) {
    this.#socket = socket
    socket.on('data', (bytes: Buffer) => (this.#received = Buffer.concat([this.#received, bytes])))
    socket.on('close', () => (this.#closed = true))
    socket.on('error', () => {})
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    this.frame(SETTINGS, 0, 0, Buffer.alloc(0))
  }

  /** One request; resolves when its stream has ended in one way or another. */
  async ask(fields: H2Fields, body?: string, trailers?: H2Fields): Promise<H2End> {
    this.#stream += 2
    const stream = this.#stream
    this.frame(HEADERS, END_HEADERS | (body === undefined ? END_STREAM : 0), stream, headerBlock(fields))
    if (body !== undefined)
      this.frame(DATA, trailers === undefined ? END_STREAM : 0, stream, Buffer.from(body, 'latin1'))
    if (trailers !== undefined) this.frame(HEADERS, END_HEADERS | END_STREAM, stream, headerBlock(trailers))
    return until(() => this.#endOf(stream))
  }

  frame(type: number, flags: number, stream: number, payload: Buffer): void {
    const head = Buffer.alloc(9)
    head.writeUIntBE(payload.length, 0, 3)
    head.writeUInt8(type, 3)
    head.writeUInt8(flags, 4)
    head.writeUInt32BE(stream, 5)
    this.#socket.write(Buffer.concat([head, payload]))
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #endOf(wanted: number): H2End | undefined {
    let body = ''
    for (const { type, flags, stream, payload } of framesIn(this.#received)) {
      if (type === GOAWAY && payload.readUInt32BE(4) !== 0) return { kind: 'reset', code: payload.readUInt32BE(4) }
      if (stream !== wanted) continue
      if (type === RST_STREAM) return { kind: 'reset', code: payload.readUInt32BE(0) }
      if (type === DATA) body += payload.toString('latin1')
      if ((type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0) return { kind: 'answered', body }
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
function headerBlock(fields: H2Fields): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]))
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes])
  const rest = bytes.length - 127
  return Buffer.concat([Buffer.from([127, (rest & 127) | 128, rest >> 7]), bytes])
}
