import type { IncomingMessage, ServerResponse } from 'node:http'
import type { LruStore } from '@ipfleet/cache/lru-store.ts'
import type { AccessLog } from '@ipfleet/telemetry/access-log.ts'
import { memoryHitHeaders } from './answer-headers.ts'
import type { RequestRecord } from './request-record.ts'

export interface FastPathParts {
  readonly memory: LruStore
  readonly record: RequestRecord
  readonly accessLog: AccessLog
}

/**
 * Answers hits in memory before Express sees them: Express, the router and pino-http cost several times what the
 * rest of such an answer does. Only a target that is spelled as its question (`/8.8.8.8`, also with `/json`) is
 * looked for, so nothing is parsed; every other spelling takes the long way to the same entry.
 *
 * Cached errors go the long way too: the access log and the counters treat them by status.
 * @returns whether the request has been answered
 */
export function fastPath({ memory, record, accessLog }: FastPathParts) {
  return (req: IncomingMessage, res: ServerResponse): boolean => {
    const target = req.url as string
    if (req.method !== 'GET' || req.headers['cache-control'] !== undefined) return false
    const startedMs = performance.now()
    const entry = memory.getServable(withoutJson(target), startedMs)
    if (entry === undefined || entry.answer.status !== 200) return false
    res.writeHead(200, memoryHitHeaders(entry, startedMs))
    res.end(entry.answer.body)
    const durationMs = performance.now() - startedMs
    record.addMemoryHit(durationMs)
    if (accessLog.enabled) {
      accessLog.write({ method: 'GET', path: target, status: 200, cache: 'l1', latencyUs: durationMs * 1000 })
    }
    return true
  }
}

/** SDKs ask for `/8.8.8.8/json`, which is `/8.8.8.8`. (`/json` alone is another question, and no entry's name.) */
function withoutJson(target: string): string {
  return target.endsWith('/json') ? target.slice(0, -5) : target
}
