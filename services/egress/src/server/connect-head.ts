import { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

/** Of the head of a CONNECT, as Node has it: the target as it was written, and names and values in turns. */
export type ConnectHead = Pick<IncomingMessage, 'url' | 'httpVersion' | 'rawHeaders'>

const method = Buffer.from('CONNECT ')

/** Whether what has come is, or may become, a CONNECT. Undefined: there is too little to say. */
export function beginsConnect(held: Buffer): boolean | undefined {
  const length = Math.min(held.length, method.length)
  if (method.compare(held, 0, length, 0, length) !== 0) return false
  return length === method.length || undefined
}

/** Where a head ends: behind an empty line. The lines of some clients end in LF alone (RFC 9112 §2.2). */
export function headEnd(held: Buffer): number | undefined {
  for (let at = held.indexOf(LF); at >= 0; at = held.indexOf(LF, at + 1)) {
    if (held[at + 1] === LF) return at + 2
    if (held[at + 1] === CR && held[at + 2] === LF) return at + 3
  }
  return undefined
}

const LF = 10
const CR = 13
const requestLine = /^CONNECT ([!-~]+) HTTP\/(1\.[01])\r?\n/
/** RFC 9110 §5.5: no control characters but the tab, and no blank before the colon. */
const fieldLine = /([\w!#$%&'*+.^`|~-]+):[ \t]*([\t -~\x80-\xff]*)\r?\n/y
const maxFields = 100

/** Reads a head that is whole. Undefined when it is malformed. */
export function readConnectHead(bytes: Buffer): ConnectHead | undefined {
  const text = bytes.toString('latin1')
  const [line = '', url, httpVersion] = requestLine.exec(text) ?? []
  if (url === undefined || httpVersion === undefined) return undefined
  const rawHeaders: string[] = []
  let at = line.length
  const end = text.length - (text.endsWith('\r\n') ? 2 : 1)
  while (at < end) {
    fieldLine.lastIndex = at
    const [, name, value] = fieldLine.exec(text) ?? []
    if (name === undefined || value === undefined || rawHeaders.length === 2 * maxFields) return undefined
    rawHeaders.push(name, /[ \t]$/.test(value) ? value.replace(/[ \t]+$/, '') : value)
    at = fieldLine.lastIndex
  }
  return { url, httpVersion, rawHeaders }
}

/** The first value of a field, by its name in lower case. */
export function fieldOf({ rawHeaders }: ConnectHead, name: string): string | undefined {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const given = rawHeaders[index] ?? ''
    if (given.length === name.length && given.toLowerCase() === name) return rawHeaders[index + 1]
  }
  return undefined
}

/** What Node would have made of it, for an answer. */
export function connectRequest({ url, httpVersion, rawHeaders }: ConnectHead, socket: Socket): IncomingMessage {
  const req = new IncomingMessage(socket)
  const [httpVersionMajor, httpVersionMinor] = [1, Number(httpVersion.slice(2))]
  return Object.assign(req, { method: 'CONNECT', url, httpVersion, httpVersionMajor, httpVersionMinor, rawHeaders })
}
