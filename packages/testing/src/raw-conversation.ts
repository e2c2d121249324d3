import { connect, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'

/** One answer as it came over the wire. */
export interface RawAnswer {
  readonly status: number
  /** Without the body, in lower case. */
  readonly head: string
  readonly body: string
}

export interface Conversation {
  /** All that came, as Latin-1. */
  readonly bytes: string
  /** All complete answers. */
  readonly answers: readonly RawAnswer[]
  /** What came after them. */
  readonly rest: string
  /** Who ended it: the server, or nobody within `patienceMs`. */
  readonly end: 'closed' | 'reset' | 'open'
}

export interface ConversationOptions {
  /** Default 10 s. */
  readonly patienceMs?: number
  /** Ends as soon as this many answers are there; without it, only when the server ends it. */
  readonly answers?: number
  /** Sends one byte at a time. */
  readonly dribble?: boolean
  /** The client's own address. */
  readonly from?: string
}

/** Sends bytes as they are, text as Latin-1, and gives all that the server says until it ends the connection. */
export function converse(
  port: number,
  bytes: string | Buffer,
  { patienceMs = 60_000, answers = Infinity, dribble = false, from }: ConversationOptions = {},
): Promise<Conversation> {
  const { promise, resolve } = Promise.withResolvers<Conversation>()
  const socket = connect({
    port,
    host: '127.0.0.1',
    allowHalfOpen: true,
    noDelay: true,
    ...(from !== undefined && { localAddress: from }),
  })
  let text = ''
  const end = (how: Conversation['end']): void => {
    clearTimeout(timer)
    socket.destroy()
    resolve({ ...readAnswers(text), bytes: text, end: how })
  }
  const timer = setTimeout(() => end('open'), patienceMs)
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
    if (answers !== Infinity && readAnswers(text).answers.length >= answers) end('open')
  })
  socket.on('end', () => end('closed'))
  socket.on('error', () => end('reset'))
  const buffer = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
  if (dribble) void dribbleTo(socket, buffer)
  else socket.write(buffer)
  return promise
}

async function dribbleTo(socket: Socket, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length && socket.writable; at += 1) {
    socket.write(bytes.subarray(at, at + 1))
    await nextTurn()
  }
}

/** Reads answers with a length, chunked ones, and one that ends with the connection. None to HEAD. */
function readAnswers(text: string): { answers: RawAnswer[]; rest: string } {
  const answers: RawAnswer[] = []
  for (let at = 0; ;) {
    const headEnd = text.indexOf('\r\n\r\n', at)
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text.slice(at, at + 12))?.[1])
    if (headEnd < 0 || Number.isNaN(status)) return { answers, rest: text.slice(at) }
    const head = text.slice(at, headEnd).toLowerCase()
    const bodyEnd = endOfBody(text, headEnd + 4, head)
    if (bodyEnd === undefined || bodyEnd > text.length) return { answers, rest: text.slice(at) }
    answers.push({ status, head, body: text.slice(headEnd + 4, bodyEnd) })
    at = bodyEnd
  }
}

function endOfBody(text: string, start: number, head: string): number | undefined {
  const length = /^content-length: *(\d+)$/m.exec(head.replaceAll('\r', ''))?.[1]
  if (length !== undefined) return start + Number(length)
  if (/^http\/1\.1 (?:1\d\d|204|304)/.test(head)) return start
  if (!/^transfer-encoding: *chunked/m.test(head)) return text.length
  const end = text.indexOf('\r\n0\r\n\r\n', start - 2)
  return end < 0 ? undefined : end + 7
}
