import { createHash } from 'node:crypto'
import type { Wire } from './wire.ts'

/** The head of the answer that takes up a WebSocket handshake (RFC 6455 §4.2.2). */
export function acceptance(request: string, ...fields: readonly string[]): string {
  const key = /^sec-websocket-key: *(\S+)\r$/im.exec(request)?.[1] ?? ''
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  const lines = ['Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${accept}`, ...fields]
  return `HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\n\r\n`
}

/** A short unmasked text frame, as servers send them. */
export function textFrame(text: string): Buffer {
  return Buffer.from([0x81, text.length, ...Buffer.from(text, 'latin1')])
}

/** An unmasked close frame with this code. */
export function closeFrame(code: number): Buffer {
  return Buffer.from([0x88, 2, code >> 8, code & 0xff])
}

/** The first masked frame in what a client has sent after its handshake, if it is complete: its opcode and text. */
export function clientFrame({ text }: Wire): { readonly opcode: number; readonly text: string } | undefined {
  const frame = Buffer.from(text.slice(text.indexOf('\r\n\r\n') + 4), 'latin1')
  const length = (frame[1] ?? 0) & 0x7f
  if (frame.length < 6 + length) return undefined
  const masked = frame.subarray(6, 6 + length)
  const plain = masked.map((byte, index) => byte ^ (frame[2 + (index % 4)] ?? 0))
  return { opcode: (frame[0] ?? 0) & 0x0f, text: Buffer.from(plain).toString('latin1') }
}
