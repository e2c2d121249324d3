import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { DeadlineWatch } from '@ipfleet/core/deadline-watch.ts'
import { http } from '@ipfleet/core/node-http.ts'
import { indexOfName, type RawFields } from '@ipfleet/proxy/http1/raw-fields.ts'

/** Why a client did not come to the end of what opens its connection. */
export class OpeningFault extends Error {
  override readonly name = 'OpeningFault'
  readonly kind: 'left' | 'late' | 'too_large'

  constructor(kind: OpeningFault['kind']) {
    super(kind)
    this.kind = kind
  }
}

type Find<Found> = (held: Buffer, seen: number) => Found | undefined

const deadlines = new DeadlineWatch()

/**
 * The first bytes of a connection, read before it is known who is to read it, within a time. It reads only while more is
 * waited for, and leaves the connection paused.
 */
export class Opening {
  readonly #socket: Socket
  readonly #deadlineMs: number
  #held: Buffer = nothing
  #fault: OpeningFault | undefined
  #wake: (() => void) | undefined

  /** @param timeoutMs for all of it, until `release` */
  constructor(socket: Socket, timeoutMs = Infinity) {
    this.#socket = socket
    socket.on('data', this.#onData).on('error', ignore).on('end', this.#onLeft).on('close', this.#onLeft)
    this.#deadlineMs = performance.now() + timeoutMs
    deadlines.add(this)
    if (socket.destroyed) this.#fail('left')
  }

  /** Whether nothing has come that was not taken. */
  get isEmpty(): boolean {
    return this.#held.length === 0
  }

  /**
   * Waits until something is found in what has come. A promise only if it is not there yet.
   * @param find gives undefined while there is too little; `seen`: so many of the bytes it has been given before
   * @throws OpeningFault also when nothing is found in so many bytes
   */
  until<Found>(find: Find<Found>, maxBytes: number): Found | Promise<Found> {
    let seen = 0
    const look = (): Found | undefined => {
      const found = this.#look((held) => find(held, seen), maxBytes)
      seen = this.#held.length
      return found
    }
    const found = look()
    if (found !== undefined) return found
    return new Promise((resolve, reject) => {
      this.#wake = () => {
        try {
          const foundNow = look()
          if (foundNow === undefined) return
          this.#wake = undefined
          resolve(foundNow)
        } catch (error) {
          reject(error)
        }
      }
      this.#socket.resume()
    })
  }

  /** Takes so many bytes off what has come. */
  take(count: number): Buffer {
    const taken = this.#held.subarray(0, count)
    this.#held = this.#held.subarray(count)
    return taken
  }

  /** Stops to read. @returns what has come and was not taken */
  release(): Buffer {
    deadlines.delete(this)
    this.#socket
      .off('data', this.#onData)
      .off('error', ignore)
      .off('end', this.#onLeft)
      .off('close', this.#onLeft)
      .pause()
    return this.#held
  }

  checkDeadline(nowMs: number): void {
    if (nowMs >= this.#deadlineMs) this.#fail('late')
  }

  #look<Found>(find: (held: Buffer) => Found | undefined, maxBytes: number): Found | undefined {
    const found = this.isEmpty ? undefined : find(this.#held)
    if (found !== undefined) return found
    if (this.#held.length >= maxBytes) this.#fault ??= new OpeningFault('too_large')
    if (this.#fault !== undefined) throw this.#fault
    return undefined
  }

  readonly #onData = (bytes: Buffer): void => {
    this.#held = this.isEmpty ? bytes : Buffer.concat([this.#held, bytes])
    this.#wake?.()
    if (this.#wake === undefined) this.#socket.pause()
  }

  readonly #onLeft = (): void => this.#fail('left')

  #fail(kind: OpeningFault['kind']): void {
    this.#fault ??= new OpeningFault(kind)
    this.#wake?.()
  }
}

const nothing = Buffer.alloc(0)

function ignore(): void {}

/** Of the head of a CONNECT, as Node has it: the target as it was written, and names and values in turns. */
export type ConnectHead = Pick<IncomingMessage, 'url' | 'httpVersion' | 'rawHeaders'>

const method = Buffer.from('CONNECT ')

/** Whether what has come is, or may become, a CONNECT. Undefined: there is too little to say. */
export function beginsConnect(held: Buffer): boolean | undefined {
  const length = Math.min(held.length, method.length)
  for (let at = 0; at < length; at += 1) if (held[at] !== method[at]) return false
  return length === method.length || undefined
}

/** Where a head ends: behind an empty line. The lines of some clients end in LF alone (RFC 9112 §2.2). */
export function headEnd(held: Buffer, seen = 0): number | undefined {
  for (let at = held.indexOf(LF, Math.max(0, seen - 2)); at >= 0; at = held.indexOf(LF, at + 1)) {
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

/** What Node would have made of it, for an answer. */
export function connectRequest({ url, httpVersion, rawHeaders }: ConnectHead, socket: Socket): IncomingMessage {
  const req = new http.IncomingMessage(socket)
  const [httpVersionMajor, httpVersionMinor] = [1, Number(httpVersion.slice(2))]
  return Object.assign(req, { method: 'CONNECT', url, httpVersion, httpVersionMajor, httpVersionMinor, rawHeaders })
}

/** RFC 9112 §3.2: such a request is refused, whatever it is for. */
export function hasTwoHosts(raw: RawFields): boolean {
  const at = indexOfName(raw, 'host')
  return at >= 0 && indexOfName(raw, 'host', at + 2) >= 0
}
