import { ownLatin1 } from '@ipfleet/core/own-latin1.ts'
import type { Entry } from '@ipfleet/cache/entry.ts'
import type { Coding } from './compression.ts'
import type { AnswerSource } from '../lookup/answered.ts'
import { preparedOf } from './representation.ts'

/** A flat list of names and values, as `writeHead` takes it without copying. */
export type HeaderList = string[]

/** What of an answer's fields depends on its form. */
export interface AnswerForm {
  readonly contentType: string
  readonly length: number
  readonly tag: string | undefined
  readonly varies: boolean
  readonly coding: Coding | undefined
}

/**
 * The fields of an answer. `Cache-Status` (RFC 9211) says where it came from, `Age` (RFC 9111 §5.1) how old it is.
 */
export function answerHeaders(
  entry: Entry,
  source: AnswerSource,
  nowMs: number,
  form: AnswerForm = plainForm(entry),
): HeaderList {
  const { contentType, length, coding } = form
  const { location } = entry.head
  const fields = ['Content-Type', contentType, 'Content-Length', String(length)]
  if (coding !== undefined) fields.push('Content-Encoding', coding)
  if (location !== undefined) fields.push('Location', location)
  // A web page of upstream, at a path that only that knows, is of the console's origin to a browser.
  if (!inertType.test(contentType)) fields.push('Content-Security-Policy', 'sandbox')
  return tellAbout(fields, entry, source, nowMs, form)
}

/** What a browser takes for data, and runs no scripts of; those of JSONP are run by the page that asks for them. */
const inertType = /^(?:application\/json|text\/plain|text\/javascript)(?:;|$)/

/** The fields of a 304: what the 200 would say about the answer, without what describes a body (RFC 9110 §15.4.5). */
export function notModifiedHeaders(
  entry: Entry,
  source: AnswerSource,
  nowMs: number,
  form: Pick<AnswerForm, 'tag' | 'varies'> = plainForm(entry),
): HeaderList {
  return tellAbout([], entry, source, nowMs, form)
}

/**
 * Status line and fields of a hit in memory, made once for each second of the entry's life instead of for each request.
 * Undefined if a field has to be checked and written by Node: upstream or Redis may have brought anything.
 */
export function memoryHitHead(entry: Entry, nowMs: number): string | undefined {
  const prepared = preparedOf(entry)
  const second = Math.floor(entry.ageMs(nowMs) / 1000)
  if (prepared.second !== second) {
    if (!isPlain(entry.head.contentType)) return undefined
    prepared.head = ownLatin1(headOf('200 OK', answerHeaders(entry, 'l1', nowMs)))
    prepared.second = second
  }
  return prepared.head
}

/** A head without its end, of fields that need no check. */
export function headOf(status: string, fields: readonly string[]): string {
  return `HTTP/1.1 ${status}\r\n${fieldLines(fields)}`
}

/** A flat list of names and values as it goes out. */
export function fieldLines(fields: readonly string[]): string {
  let lines = ''
  for (let index = 0; index + 1 < fields.length; index += 2) lines += `${fields[index]}: ${fields[index + 1]}\r\n`
  return lines
}

function isPlain(value: string): boolean {
  return /^[!-~](?:[ -~]*[!-~])?$/.test(value)
}

function plainForm(entry: Entry): AnswerForm {
  const { tag, varies } = preparedOf(entry)
  return { contentType: entry.head.contentType, length: entry.bodyBytes, tag, varies, coding: undefined }
}

function tellAbout(
  fields: HeaderList,
  entry: Entry,
  source: AnswerSource,
  nowMs: number,
  { tag, varies }: Pick<AnswerForm, 'tag' | 'varies'>,
): HeaderList {
  fields.push(
    'Access-Control-Allow-Origin',
    '*',
    'Cache-Status',
    cacheStatus(entry, source, nowMs),
    'Age',
    String(Math.floor(entry.ageMs(nowMs) / 1000)),
  )
  if (tag !== undefined) fields.push('ETag', tag)
  if (varies) fields.push('Vary', 'Accept-Encoding')
  return fields
}

function cacheStatus(entry: Entry, source: AnswerSource, nowMs: number): string {
  const stored = entry.freshForMs > 0 ? '; stored' : ''
  // Not a parameter of RFC 9211: the provider that stands in has answered.
  const fallback = entry.head.isFallback ? '; fallback' : ''
  const ttl = Math.floor(entry.freshLeftMs(nowMs) / 1000)
  switch (source) {
    case 'l1':
    case 'l2':
    case 'stale':
      return `ipfleet; hit; ttl=${ttl}; detail=${source}${fallback}`
    case 'upstream':
      return `ipfleet; fwd=miss; fwd-status=${entry.head.status}${stored}${fallback}`
    case 'collapsed':
      return `ipfleet; fwd=miss; fwd-status=${entry.head.status}${stored}; collapsed${fallback}`
    case 'bypass':
      return `ipfleet; fwd=bypass; fwd-status=${entry.head.status}${fallback}`
    case 'offline':
    case 'local':
      return `ipfleet; detail=${source}`
  }
}
