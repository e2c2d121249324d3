import type { ServerResponse } from 'node:http'
import { parseTraceparent, type TraceContext } from '@ipfleet/core/trace-context.ts'
import type { Entry } from '@ipfleet/cache/entry.ts'
import type { LruStore } from '@ipfleet/cache/lru-store.ts'
import type { LaneHandlers } from '@ipfleet/http-server/fast-lane/plain-connection.ts'
import type { RequestHead } from '@ipfleet/http-server/fast-lane/request-head.ts'
import { REQUEST_ID, requestIdOf } from '@ipfleet/http-server/request-id.ts'
import type { AccessLog } from '@ipfleet/telemetry/access-log.ts'
import type { ClientGuard } from '@ipfleet/rate-limit/clients/client-guard.ts'
import { answerHeaders, fieldLines, headOf, memoryHitHead, notModifiedHeaders } from './answer-headers.ts'
import { minCompressedBytes } from './compression.ts'
import { isUnchanged, preparedOf } from './representation.ts'
import type { RequestRecord } from '../operations/request-record.ts'

export interface MemoryHitsDeps {
  readonly memory: LruStore
  readonly record: RequestRecord
  readonly accessLog: AccessLog
  /** Undefined: every client may ask. */
  readonly clients?: ClientGuard | undefined
}

/** A request that memory answers, admitted and not yet answered. */
interface MemoryHit {
  readonly target: string
  readonly id: string
  readonly isForeignId: boolean
  /** Undefined: the request belongs to no trace yet. */
  readonly parent: TraceContext | undefined
  readonly entry: Entry
  readonly status: 200 | 304
  /** To be added to the answer. */
  readonly clientFields: readonly string[]
  readonly startedMs: number
}

/**
 * Answers hits in memory before Express sees them: Express and its router cost several times what the
 * rest of such an answer does. Only a target that is spelled as its query (`/8.8.8.8`, also with `/json` and
 * `?token=`) is looked for, so nothing is parsed; every other spelling takes the long way to the same entry.
 *
 * Cached errors go the long way too, since the access log and the counters treat them by status; as do requests of
 * which memory alone cannot say whether they are within their client's budget, and bodies worth compressing.
 */
export class MemoryHits {
  readonly #deps: MemoryHitsDeps

  constructor(deps: MemoryHitsDeps) {
    this.#deps = deps
  }

  /** In the fast lane: the answer as it goes out. */
  readonly inLane: NonNullable<LaneHandlers['answer']> = (request, connectionFields) => {
    const startedMs = performance.now()
    const entry = this.#find(request, startedMs)
    if (entry === undefined) return undefined
    const { latin1 } = entry
    const head = latin1 === undefined ? undefined : memoryHitHead(entry, startedMs)
    const hit = head === undefined ? undefined : this.#admitted(request, entry, startedMs)
    if (head === undefined || hit === undefined) return undefined
    const isWhole = hit.status === 200
    const first = isWhole ? head : headOf('304 Not Modified', notModifiedHeaders(entry, 'l1', startedMs))
    const more = hit.clientFields.length === 0 ? '' : fieldLines(hit.clientFields)
    this.#answered(hit)
    return `${first}${REQUEST_ID}: ${hit.id}\r\n${more}${connectionFields}\r\n${isWhole ? latin1 : ''}`
  }

  /**
   * From node:http: what the lane has handed over for the form of its head, and everything without a lane.
   * @returns whether the request has been answered
   */
  answer(request: RequestHead & { readonly method?: string | undefined }, res: ServerResponse): boolean {
    if (request.method !== 'GET') return false
    const startedMs = performance.now()
    const entry = this.#find(request, startedMs)
    const hit = entry && this.#admitted(request, entry, startedMs)
    if (hit === undefined) return false
    const more = [REQUEST_ID, hit.id, ...hit.clientFields]
    if (hit.status === 304) res.writeHead(304, [...notModifiedHeaders(hit.entry, 'l1', startedMs), ...more]).end()
    else {
      res.writeHead(200, [...answerHeaders(hit.entry, 'l1', startedMs), ...more])
      res.end(hit.entry.latin1 ?? hit.entry.answer.body, 'latin1')
    }
    this.#answered(hit)
    return true
  }

  #find({ url = '', headers }: RequestHead, nowMs: number): Entry | undefined {
    if (headers['cache-control'] !== undefined) return undefined
    const { memory } = this.#deps
    const entry = memory.getServable(withoutJson(url), nowMs) ?? withoutToken(memory, url, nowMs)
    if (entry === undefined || entry.head.status !== 200) return undefined
    const isWorthCoding = entry.bodyBytes >= minCompressedBytes && headers['accept-encoding'] !== undefined
    return isWorthCoding ? undefined : entry
  }

  /** The last step before the answer: with it the request is counted for its client. */
  #admitted(request: RequestHead, entry: Entry, startedMs: number): MemoryHit | undefined {
    const { clients } = this.#deps
    const clientFields = clients === undefined ? none : clients.admitNow(request)
    if (clientFields === undefined) return undefined
    const { url: target = '', headers } = request
    const isHeld =
      headers['if-none-match'] !== undefined && isUnchanged({ method: 'GET', headers }, preparedOf(entry).tag)
    const given = headers['x-request-id']
    const id = requestIdOf(given)
    const parent = parseTraceparent(headers['traceparent'])
    return {
      target,
      id,
      isForeignId: given !== undefined,
      parent,
      entry,
      status: isHeld ? 304 : 200,
      clientFields,
      startedMs,
    }
  }

  #answered({ target, id, isForeignId, parent, entry, status, startedMs }: MemoryHit): void {
    const { record, accessLog } = this.#deps
    const durationMs = performance.now() - startedMs
    if (status === 304) record.add('lookup', 304, 'l1', durationMs)
    else record.addMemoryHit(durationMs)
    const trace = accessLog.isTracing
      ? accessLog.trace({ id, method: 'GET', target, parent }, { status, cache: 'l1' })
      : parent
    if (!accessLog.enabled) return
    const latencyUs = durationMs * 1000
    const traceId = trace?.traceId
    if (status === 304) accessLog.write({ id, traceId, method: 'GET', path: target, status, cache: 'l1', latencyUs })
    else {
      const prepared = preparedOf(entry)
      prepared.hitLine = accessLog.writeHit({ id, isForeignId, traceId, target, latencyUs }, prepared.hitLine)
    }
  }
}

const none: readonly string[] = []

/** A token in the URL is no part of the query; with any other parameter beside it the target is parsed. */
function withoutToken(memory: LruStore, target: string, nowMs: number): Entry | undefined {
  const mark = target.indexOf('?token=')
  if (mark < 0 || target.includes('&', mark)) return undefined
  return memory.getServable(withoutJson(target.slice(0, mark)), nowMs)
}

/** SDKs ask for `/8.8.8.8/json`, which is `/8.8.8.8`. Behind a longer path, or alone, `/json` makes another query. */
function withoutJson(target: string): string {
  return target.endsWith('/json') && target.lastIndexOf('/', target.length - 6) === 0 ? target.slice(0, -5) : target
}
