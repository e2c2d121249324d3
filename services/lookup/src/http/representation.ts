import type { IncomingMessage } from 'node:http'
import { type AnswerHead, Entry } from '@ipfleet/cache/entry.ts'
import type { HitLine } from '@ipfleet/telemetry/access-log.ts'
import { type Coding, compressed, isCompressible, preferredCoding } from './compression.ts'
import { codedTag, entityTag, isHeld } from './conditional.ts'
import { asCall } from './jsonp.ts'

/** The form in which a request gets an answer. */
export interface Representation {
  readonly head: AnswerHead
  /** Undefined for anything but a 200. */
  readonly tag: string | undefined
  /** Whether other values of Accept-Encoding lead to other bytes. */
  readonly varies: boolean
  readonly coding: Coding | undefined
  /** To send; as latin1 where they are few: head and body then leave in one write. HEAD is told their number, too. */
  body(): string | Buffer | Promise<Buffer>
}

/** What an entry's answers have in common, made once for each entry and kept with it. */
export interface Prepared {
  readonly tag: string | undefined
  readonly varies: boolean
  /** The head of a hit in memory within that second of the entry's life; see `memoryHitHead`. */
  second: number
  head: string
  /** Of the access log, for hits in memory. */
  hitLine: HitLine | undefined
  /** The coded bodies that a client has asked for, if one has. */
  coded: Map<Coding, Promise<Buffer>> | undefined
}

export function preparedOf(entry: Entry): Prepared {
  // Only this module writes it.
  const held = entry.prepared as Prepared | undefined
  if (held !== undefined) return held
  const { status } = entry.head
  const tag = status === 200 ? entityTag(entry.answer.body) : undefined
  const prepared = { tag, varies: isCompressible(entry), second: -1, head: '', hitLine: undefined, coded: undefined }
  entry.prepared = prepared
  return prepared
}

/** Wrapped for the callback, if there is one; then coded, if that is worth it and the client can read it. */
export function representationFor(req: IncomingMessage, kept: Entry, callback: string | undefined): Representation {
  const { storedAtMs, freshForMs } = kept
  const entry = callback === undefined ? kept : new Entry(asCall(kept.answer, callback), storedAtMs, freshForMs)
  const { head } = entry
  const prepared = preparedOf(entry)
  const { tag, varies } = prepared
  const coding = varies ? preferredCoding(req.headers['accept-encoding']?.toString()) : undefined
  if (coding === undefined) return { head, tag, varies, coding, body: () => entry.latin1 ?? entry.answer.body }
  const body = (): Promise<Buffer> => {
    const coded = (prepared.coded ??= new Map<Coding, Promise<Buffer>>())
    return coded.getOrInsertComputed(coding, () => compressed(entry.answer.body, coding))
  }
  return { head, tag: tag && codedTag(tag, coding), varies, coding, body }
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
