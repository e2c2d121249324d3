/** Frames of HTTP/2 (RFC 9113 §4.1, §6) as a client library would not send them. */
const types = { data: 0, headers: 1, reset: 3, settings: 4 } as const
const endStream = 1
const endHeaders = 4
const cancel = 8

function frame(type: keyof typeof types, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(types[type], 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** RFC 7541: `:method`, `:scheme: https`, `:path: /` by their index, and the rest literally, without indexing. */
function fields(method: 'GET' | 'POST', extraBytes = 0): Buffer {
  const authority = Buffer.concat([Buffer.from([0x01, 1]), Buffer.from('a')])
  const extra = extraBytes === 0 ? Buffer.alloc(0) : literal('x-extra', 'v'.repeat(extraBytes))
  return Buffer.concat([Buffer.from([method === 'GET' ? 0x82 : 0x83, 0x87, 0x84]), authority, extra])
}

function literal(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), integer(value.length), Buffer.from(value)])
}

/** With a prefix of 7 bits (RFC 7541 §5.1). */
function integer(value: number): Buffer {
  if (value < 127) return Buffer.from([value])
  const bytes = [127]
  let rest = value - 127
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return Buffer.from([...bytes, rest])
}

export const preface = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame('settings', 0, 0)])

/** Makes blocks of frames of one connection, each on streams of its own. */
export class FrameMaker {
  #stream = -1

  /** Requests whose bodies never come. */
  unfinished(count: number): Buffer {
    return Buffer.concat(Array.from({ length: count }, () => this.#head('POST')))
  }

  /** Requests that are taken back at once (CVE-2023-44487). */
  taken(count: number): Buffer {
    const code = Buffer.from([0, 0, 0, cancel])
    return Buffer.concat(
      Array.from({ length: count }, () =>
        Buffer.concat([this.#head('GET', endStream), frame('reset', 0, this.#stream, code)]),
      ),
    )
  }

  /** A body of so many bytes, each in a frame of its own. */
  drops(count: number): Buffer {
    const byte = Buffer.from('x')
    const head = this.#head('POST')
    const body = Array.from({ length: count - 1 }, () => frame('data', 0, this.#stream, byte))
    return Buffer.concat([head, ...body, frame('data', endStream, this.#stream, byte)])
  }

  withFields(bytes: number): Buffer {
    return this.#head('GET', endStream, bytes)
  }

  #head(method: 'GET' | 'POST', flags = 0, extraBytes = 0): Buffer {
    this.#stream += 2
    return frame('headers', endHeaders | flags, this.#stream, fields(method, extraBytes))
  }
}
