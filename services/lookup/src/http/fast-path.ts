import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Entry } from '@ipfleet/cache/entry.ts'
import type { LruStore } from '@ipfleet/cache/lru-store.ts'
import { REQUEST_ID, requestIdOf } from '@ipfleet/http-server/request-id.ts'
import type { AccessLog } from '@ipfleet/telemetry/access-log.ts'
import { memoryHitHeaders, notModifiedHeaders } from './answer-headers.ts'
import type { ClientGuard } from '@ipfleet/rate-limit/clients/client-guard.ts'
import { minCompressedBytes } from './compression.ts'
import { isUnchanged, preparedOf } from './representation.ts'
import type { RequestRecord } from '../operations/request-record.ts'

export interface FastPathDeps {
  readonly memory: LruStore
  readonly record: RequestRecord
  readonly accessLog: AccessLog
  /** Undefined: every client may ask. */
  readonly clients?: ClientGuard | undefined
}

/**
 * Answers hits in memory before Express sees them: Express and its router cost several times what the
 * rest of such an answer does. Only a target that is spelled as its query (`/8.8.8.8`, also with `/json` and
 * `?token=`) is looked for, so nothing is parsed; every other spelling takes the long way to the same entry.
 *
 * Cached errors go the long way too, since the access log and the counters treat them by status; as do requests of
 * which memory alone cannot say whether they are within their client's budget, and bodies worth compressing.
 * @returns whether the request has been answered
 */
export function fastPath({ memory, record, accessLog, clients }: FastPathDeps) {
  return (req: IncomingMessage, res: ServerResponse): boolean => {
    const target = req.url as string
    const { headers } = req
    if (req.method !== 'GET' || headers['cache-control'] !== undefined) return false
    const startedMs = performance.now()
    const entry = memory.getServable(withoutJson(target), startedMs) ?? withoutToken(memory, target, startedMs)
    if (entry === undefined || entry.answer.status !== 200) return false
    const { body } = entry.answer
    if (body.length >= minCompressedBytes && headers['accept-encoding'] !== undefined) return false
    const clientFields = clients === undefined ? none : clients.admitNow(req)
    if (clientFields === undefined) return false
    const isHeld = headers['if-none-match'] !== undefined && isUnchanged(req, preparedOf(entry).tag)
    const fields = isHeld ? notModifiedHeaders(entry, 'l1', startedMs) : memoryHitHeaders(entry, startedMs)
    const status = isHeld ? 304 : 200
    const id = requestIdOf(headers['x-request-id'])
    res.writeHead(status, [...fields, REQUEST_ID, id, ...clientFields])
    res.end(isHeld ? undefined : (preparedOf(entry).text ?? body))
    const durationMs = performance.now() - startedMs
    if (isHeld) record.add('lookup', 304, 'l1', durationMs)
    else record.addMemoryHit(durationMs)
    if (accessLog.enabled) {
      accessLog.write({ id, method: 'GET', path: target, status, cache: 'l1', latencyUs: durationMs * 1000 })
    }
    return true
  }
}

const none: readonly string[] = []

/** A token in the URL is no part of the query; with any other parameter beside it the target is parsed. */
function withoutToken(memory: LruStore, target: string, nowMs: number): Entry | undefined {
  const mark = target.indexOf('?token=')
  if (mark < 0 || target.includes('&', mark)) return undefined
  return memory.getServable(withoutJson(target.slice(0, mark)), nowMs)
}

/** SDKs ask for `/8.8.8.8/json`, which is `/8.8.8.8`. (`/json` alone is another query, and no entry's name.) */
function withoutJson(target: string): string {
  return target.endsWith('/json') ? target.slice(0, -5) : target
}
