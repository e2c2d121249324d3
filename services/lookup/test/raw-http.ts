import { connect } from 'node:net'

/** The answers to bytes that no HTTP client would send: everything the server says until it closes, as text. */
export function sendRaw(port: number, bytes: string | Buffer, timeoutMs = 60_000): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  const chunks: Buffer[] = []
  const socket = connect({ port, host: '127.0.0.1' })
  const end = (): void => {
    clearTimeout(timer)
    socket.destroy()
    resolve(Buffer.concat(chunks).toString())
  }
  const timer = setTimeout(end, timeoutMs)
  socket.on('data', (chunk) => {
    chunks.push(Buffer.from(chunk))
    if (isWhole(Buffer.concat(chunks).toString())) end()
  })
  socket.on('close', end)
  // A server may hang up while bytes are still on their way; what it had said counts.
  socket.on('error', end)
  socket.write(bytes)
  return promise
}

/** Headers and as many bytes of body as they announce. */
function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return false
  const length = /^content-length: *(\d+)/im.exec(text.slice(0, end))?.[1]
  return length !== undefined && Buffer.byteLength(text.slice(end + 4)) >= Number(length)
}

export interface RawAnswer {
  readonly status: number
  readonly head: string
  readonly body: string
}

export function parseRaw(text: string): RawAnswer {
  const [head = '', body = ''] = text.split('\r\n\r\n', 2)
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]), head: head.toLowerCase(), body }
}
