import { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Opening } from './opening.ts'

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
const requestLine = /^CONNECT ([!-~]+) HTTP\/(1\.[01])$/
/** RFC 9110 §5.5: no control characters but the tab, and no blank before the colon. */
const fieldLine = /^([\w!#$%&'*+.^`|~-]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*$/
const maxFields = 100

/**
 * Reads the head of a CONNECT and takes it off the opening. Undefined when it is malformed.
 * @throws OpeningFault
 */
export async function readConnectHead(opening: Opening, socket: Socket, maxBytes: number) {
  const text = opening.take(await opening.until(headEnd, maxBytes)).toString('latin1')
  const [line = '', ...fields] = text.trimEnd().split(/\r?\n/)
  const [, target, version] = requestLine.exec(line) ?? []
  if (target === undefined || version === undefined || fields.length > maxFields) return undefined
  const raw: string[] = []
  for (const one of fields) {
    const [, name, value] = fieldLine.exec(one) ?? []
    if (name === undefined || value === undefined) return undefined
    raw.push(name, value)
  }
  return connectRequest(socket, target, version, raw)
}

/** As Node makes it: what comes behind the head is not its concern. */
function connectRequest(socket: Socket, target: string, version: string, raw: string[]): IncomingMessage {
  const req = new IncomingMessage(socket)
  req.method = 'CONNECT'
  req.url = target
  req.httpVersion = version
  req.httpVersionMajor = 1
  req.httpVersionMinor = Number(version.slice(2))
  req.rawHeaders = raw
  req.headers = {}
  for (let index = 0; index < raw.length; index += 2) req.headers[(raw[index] ?? '').toLowerCase()] ??= raw[index + 1]
  return req
}
