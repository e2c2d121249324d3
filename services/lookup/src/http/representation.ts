import type { IncomingMessage } from 'node:http'
import type { Answer, Entry } from '@ipfleet/cache/entry.ts'
import type { HitLine } from '@ipfleet/telemetry/access-log.ts'
import { type Coding, compressed, isCompressible, preferredCoding } from './compression.ts'
import { codedTag, entityTag, isHeld } from './conditional.ts'
import { asCall } from './jsonp.ts'

const maxLatin1Bytes = 65_536

/** The form in which a request gets an answer. */
export interface Representation {
  readonly answer: Answer
  /** Undefined for anything but a 200. */
  readonly tag: string | undefined
  /** Whether other values of Accept-Encoding lead to other bytes. */
  readonly varies: boolean
  readonly coding: Coding | undefined
  /** The bytes to send, as latin1 where they are few: head and body then leave in one write. A HEAD, too, is told their number. */
  body(): string | Buffer | Promise<Buffer>
}

/** What an entry's answers have in common, made once for each entry and kept with it. */
export interface Prepared {
  readonly tag: string | undefined
  readonly varies: boolean
  /** The bytes of the body as latin1, unless they are many: head and body then leave in one write. */
  readonly latin1: string | undefined
  /** The head of a hit in memory within that second of the entry's life; see `memoryHitHead`. */
  second: number
  head: string
  /** Of the access log, for hits in memory. */
  hitLine: HitLine | undefined
  /** The coded bodies that a client has asked for. */
  readonly coded: Map<Coding, Promise<Buffer>>
}

export function preparedOf(entry: Entry): Prepared {
  // Only this module writes it.
  const held = entry.prepared as Prepared | undefined
  if (held !== undefined) return held
  const prepared = prepare(entry.answer, entry.text)
  entry.prepared = prepared
  return prepared
}

function prepare(answer: Answer, text?: string): Prepared {
  const tag = answer.status === 200 ? entityTag(answer.body) : undefined
  return {
    tag,
    varies: isCompressible(answer),
    latin1: latin1Of(answer, text),
    second: -1,
    head: '',
    hitLine: undefined,
    coded: new Map(),
  }
}

/** Of what memory answers with at once; what is larger leaves in several writes anyhow. */
function latin1Of({ body }: Answer, text: string | undefined): string | undefined {
  // Of ASCII, which is kept once.
  if (text?.length === body.length) return text
  return body.length < maxLatin1Bytes ? body.toString('latin1') : undefined
}

/** Wrapped for the callback, if there is one; then coded, if that is worth it and the client can read it. */
export function representationFor(req: IncomingMessage, entry: Entry, callback: string | undefined): Representation {
  const answer = callback === undefined ? entry.answer : asCall(entry.answer, callback)
  const prepared = answer === entry.answer ? preparedOf(entry) : prepare(answer)
  const { tag, varies, latin1, coded } = prepared
  const coding = varies ? preferredCoding(req.headers['accept-encoding']?.toString()) : undefined
  if (coding === undefined) return { answer, tag, varies, coding, body: () => latin1 ?? answer.body }
  const body = (): Promise<Buffer> => {
    const held = coded.get(coding) ?? compressed(answer.body, coding)
    coded.set(coding, held)
    return held
  }
  return { answer, tag: tag && codedTag(tag, coding), varies, coding, body }
}

/** Whether the client already has what it would get with 200 (RFC 9110 §13.1.2): then 304 is the answer. */
export function isUnchanged(
  { method, headers }: Pick<IncomingMessage, 'method' | 'headers'>,
  tag: string | undefined,
): boolean {
  const field = headers['if-none-match']
  if (field === undefined || tag === undefined) return false
  return (method === 'GET' || method === 'HEAD') && isHeld(field, tag)
}
