import type { LogLevel } from '@ipfleet/core/proxy-error.ts'
import { jsonString } from './escape-controls.ts'
import { logTime } from './log-time.ts'
import { textLatency, textValue } from './text-line.ts'

/** What the log tells of one request. */
export interface AccessEntry {
  readonly id: string
  /** Undefined for a request that belongs to no trace. */
  readonly traceId?: string | undefined
  /** Undefined, as the path, of bytes that never became a request. */
  readonly method?: string | undefined
  /** The request target; the query is cut off, since it may hold the client's token. */
  readonly path?: string | undefined
  readonly status: number
  readonly cache?: string | undefined
  /** The hash that stands for the API key. */
  readonly keyId?: string | undefined
  readonly upstreamStatus?: number | undefined
  /** Of a batch: how many items ended how. */
  readonly items?: Readonly<Record<string, number>> | undefined
  /** Undefined where no time was taken. */
  readonly latencyUs?: number | undefined
  /** The client's address. */
  readonly client?: string | undefined
  /** Of a proxied request: who answered, and how many more had to be asked. */
  readonly backend?: string | undefined
  readonly retries?: number | undefined
  /** Of a request that was refused or failed: the code of the error, its level, and what is known beyond it. */
  readonly code?: string | undefined
  readonly level?: LogLevel | undefined
  readonly detail?: string | undefined
  /** The kind of a backend's fault. */
  readonly fault?: string | undefined
  /** What led to the failure, in words. */
  readonly cause?: string | undefined
  /** Of a fault of this program: the error as plain data, with its stack. */
  readonly err?: object | undefined
  /** Asked by the machinery around the fleet (health checks, scrapes), not by a client. */
  readonly probe?: boolean | undefined
}

/** Enough to see what was asked; a target may be as long as the header limit. */
const LONGEST_TEXT = 1024

/** Refused for asking too much, or failed here: worth a look. Everything else is daily business. */
export function accessLevel({ status, probe, code, level }: AccessEntry): LogLevel {
  if (level === 'error') return 'error'
  // What a probe is told is seen by the system that sent it.
  if (probe === true && code === undefined) return 'debug'
  return status >= 500 || status === 429 || level === 'warn' ? 'warn' : 'info'
}

type Scrub = (text: string) => string

/** An access line as JSON, the same as pino would make it, in a tenth of the time. `identity`: see `LogSink`. */
export function accessJson(entry: AccessEntry, level: LogLevel, identity: string, scrub: Scrub): string {
  let line = `{"level":"${level}","time":"${logTime()}"${identity},"id":${jsonString(scrub(entry.id))}`
  if (entry.traceId !== undefined) line += `,"trace_id":"${entry.traceId}"`
  line += askedJson(entry, scrub)
  if (entry.keyId !== undefined) line += `,"key":"${entry.keyId}"`
  if (entry.upstreamStatus !== undefined) line += `,"upstream_status":${entry.upstreamStatus}`
  if (entry.latencyUs !== undefined) line += `,"latency_us":${Math.round(entry.latencyUs)}`
  if (entry.client !== undefined) line += `,"client":"${entry.client}"`
  if (entry.backend !== undefined) line += `,"backend":"${entry.backend}"`
  if (entry.retries !== undefined) line += `,"retries":${entry.retries}`
  if (entry.items !== undefined) line += `,"items":${JSON.stringify(entry.items)}`
  for (const [name, words] of failureFields(entry)) line += `,"${name}":${jsonString(scrub(words))}`
  if (entry.err !== undefined) line += `,"err":${JSON.stringify(entry.err)}`
  return `${line},"msg":"request"}\n`
}

/** Of a JSON line, the fields that say what was asked for and how that ended. */
export function askedJson({ method, path, status, cache }: Omit<AccessEntry, 'id'>, scrub: Scrub): string {
  let fields = ''
  if (method !== undefined) fields += `,"method":${jsonString(method)}`
  if (path !== undefined) fields += `,"path":${jsonString(scrub(loggedPath(path)))}`
  fields += `,"status":${status}`
  return cache === undefined ? fields : `${fields},"cache":"${cache}"`
}

/** An access line without `err` as text, the same as `textLine` makes of the JSON. */
export function accessText(entry: AccessEntry, tag: string, scrub: Scrub): string {
  let line = `${logTime()} ${tag} request id=${textValue(scrub(entry.id))}`
  if (entry.traceId !== undefined) line += ` trace_id=${entry.traceId}`
  if (entry.method !== undefined) line += ` method=${textValue(entry.method)}`
  if (entry.path !== undefined) line += ` path=${textValue(scrub(loggedPath(entry.path)))}`
  line += ` status=${entry.status}`
  if (entry.cache !== undefined) line += ` cache=${entry.cache}`
  if (entry.keyId !== undefined) line += ` key=${entry.keyId}`
  if (entry.upstreamStatus !== undefined) line += ` upstream_status=${entry.upstreamStatus}`
  if (entry.latencyUs !== undefined) line += ` ${textLatency(Math.round(entry.latencyUs))}`
  if (entry.client !== undefined) line += ` client=${entry.client}`
  if (entry.backend !== undefined) line += ` backend=${entry.backend}`
  if (entry.retries !== undefined) line += ` retries=${entry.retries}`
  if (entry.items !== undefined) line += ` items=${JSON.stringify(entry.items)}`
  for (const [name, words] of failureFields(entry)) line += ` ${name}=${textValue(scrub(words))}`
  return `${line}\n`
}

/** Names and values of what went wrong. Quick for the many requests of which nothing did. */
function failureFields(entry: AccessEntry): readonly (readonly [name: string, words: string])[] {
  const { code, detail, fault, cause } = entry
  if (code === undefined && fault === undefined) return nothing
  const fields = Object.entries({ code, detail, fault, cause })
  return fields.flatMap(([name, words]) => (words === undefined ? [] : [[name, shortened(words)] as const]))
}

const nothing: readonly (readonly [string, string])[] = []

export function loggedPath(target: string): string {
  const query = target.indexOf('?')
  return shortened(query < 0 ? target : target.slice(0, query))
}

function shortened(text: string): string {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}...` : text
}
