import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** A reply of Redis (RESP2). */
export type RespReply = string | number | null | readonly RespReply[]

interface Waiter {
  readonly resolve: (reply: RespReply) => void
  readonly reject: (error: Error) => void
}

/**
 * A connection to Redis that shares nothing with the one under test, and waits as long as it takes. An error that Redis
 * answers rejects its command, as does the end of the connection.
 */
export class RespClient {
  readonly #socket: Socket
  readonly #waiting: Waiter[] = []
  #unread = Buffer.alloc(0)

  static async connect(url: string): Promise<RespClient> {
    const { hostname, port } = new URL(url)
    const socket = connect({ host: hostname, port: Number(port) })
    await once(socket, 'connect')
    return new RespClient(socket)
  }

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (bytes: Buffer) => this.#read(bytes))
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error('the connection to Redis has ended'))
    })
  }

  call(...command: readonly string[]): Promise<RespReply> {
    const { promise, resolve, reject } = Promise.withResolvers<RespReply>()
    if (this.#socket.destroyed) return Promise.reject(new Error('the connection to Redis has ended'))
    this.#waiting.push({ resolve, reject })
    const words = command.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`)
    this.#socket.write(`*${command.length}\r\n${words.join('')}`)
    return promise
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(bytes: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, bytes])
    for (let read = replyAt(this.#unread, 0); read; read = replyAt(this.#unread, 0)) {
      this.#unread = this.#unread.subarray(read.end)
      const waiter = this.#waiting.shift()
      if (read.reply instanceof Error) waiter?.reject(read.reply)
      else waiter?.resolve(read.reply)
    }
  }
}

interface Read {
  readonly reply: RespReply | Error
  readonly end: number
}

/** Undefined as long as not all of it has come. */
function replyAt(bytes: Buffer, start: number): Read | undefined {
  const lineEnd = bytes.indexOf('\r\n', start)
  if (lineEnd < 0) return undefined
  const line = bytes.toString('utf8', start + 1, lineEnd)
  const end = lineEnd + 2
  switch (bytes.toString('latin1', start, start + 1)) {
    case '+':
      return { reply: line, end }
    case '-':
      return { reply: new Error(line), end }
    case ':':
      return { reply: Number(line), end }
    case '$':
      return bulkAt(bytes, end, Number(line))
    case '*':
      return listAt(bytes, end, Number(line))
    default:
      throw new Error(`not a reply of Redis: ${line}`)
  }
}

function bulkAt(bytes: Buffer, start: number, length: number): Read | undefined {
  if (length < 0) return { reply: null, end: start }
  const end = start + length
  return bytes.length < end + 2 ? undefined : { reply: bytes.toString('utf8', start, end), end: end + 2 }
}

function listAt(bytes: Buffer, start: number, length: number): Read | undefined {
  if (length < 0) return { reply: null, end: start }
  const items: RespReply[] = []
  let end = start
  while (items.length < length) {
    const item = replyAt(bytes, end)
    if (item === undefined) return undefined
    if (item.reply instanceof Error) throw item.reply
    items.push(item.reply)
    end = item.end
  }
  return { reply: items, end }
}
