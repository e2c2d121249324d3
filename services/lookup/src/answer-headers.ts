import type { Entry } from '@ipfleet/cache/entry.ts'
import type { AnswerSource } from './lookup.ts'

/** A flat list of names and values, as `writeHead` takes it without copying. */
export type HeaderList = string[]

/**
 * The fields of an answer. `Cache-Status` (RFC 9211) says where it came from, `Age` (RFC 9111 §5.1) how old it is.
 */
export function answerHeaders(entry: Entry, source: AnswerSource, nowMs: number): HeaderList {
  const { contentType, body } = entry.answer
  return [
    'Content-Type',
    contentType,
    'Content-Length',
    String(body.length),
    'Access-Control-Allow-Origin',
    '*',
    'Cache-Status',
    cacheStatus(entry, source, nowMs),
    'Age',
    String(Math.floor(entry.ageMs(nowMs) / 1000)),
  ]
}

interface Prepared {
  readonly second: number
  readonly headers: HeaderList
}

/** The fields of a hit in memory, made once for each second of the entry's life instead of for each request. */
export function memoryHitHeaders(entry: Entry, nowMs: number): HeaderList {
  const second = Math.floor(entry.ageMs(nowMs) / 1000)
  const prepared = entry.prepared as Prepared | undefined
  if (prepared?.second === second) return prepared.headers
  const headers = answerHeaders(entry, 'l1', nowMs)
  entry.prepared = { second, headers } satisfies Prepared
  return headers
}

function cacheStatus(entry: Entry, source: AnswerSource, nowMs: number): string {
  const stored = entry.freshForMs > 0 ? '; stored' : ''
  const ttl = Math.floor(entry.freshLeftMs(nowMs) / 1000)
  switch (source) {
    case 'l1':
    case 'l2':
    case 'stale':
      return `ipfleet; hit; ttl=${ttl}; detail=${source}`
    case 'upstream':
      return `ipfleet; fwd=miss; fwd-status=${entry.answer.status}${stored}`
    case 'collapsed':
      return `ipfleet; fwd=miss; fwd-status=${entry.answer.status}${stored}; collapsed`
    case 'bypass':
      return `ipfleet; fwd=bypass; fwd-status=${entry.answer.status}`
    case 'offline':
    case 'local':
      return `ipfleet; detail=${source}`
  }
}
