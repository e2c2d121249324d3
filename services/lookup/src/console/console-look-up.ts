import type { AnsweredQuery } from '@ipfleet/console/contract.ts'
import { monotonicClock } from '@ipfleet/core/clock.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { asProxyError } from '@ipfleet/http-server/error-handler.ts'
import { cacheDirectives } from '../http/cache-directives.ts'
import { type Answered, type AnswerSource, LookupError, unitsOf } from '../lookup/answered.ts'
import type { Lookup } from '../lookup/lookup.ts'
import type { RequestRecord } from '../operations/request-record.ts'
import { parseTarget, type Query } from '../query/query.ts'

export interface ConsoleLookUpDeps {
  readonly lookup: Lookup
  readonly record: RequestRecord
  /** What the operator calls the kind of a key; undefined for one that is gone. */
  readonly keyClass: (id: string) => Promise<string | undefined>
}

const tiers: Readonly<Record<AnswerSource, AnsweredQuery['tier']>> = {
  l1: 'memory',
  l2: 'redis',
  stale: 'memory',
  collapsed: 'upstream',
  upstream: 'upstream',
  bypass: 'upstream',
  offline: 'offline',
  local: 'offline',
}

/**
 * One look-up for the console, by the way of all others, and counted as they are. What fails is told, not thrown.
 * @throws ProxyError `bad_request`, `wrong_ip` for what is no address and no AS number
 */
export async function consoleLookUp(deps: ConsoleLookUpDeps, text: string): Promise<AnsweredQuery> {
  const query = queryIn(text)
  const startedMs = monotonicClock.nowMs()
  try {
    const answered = await deps.lookup.answer(query, cacheDirectives(undefined))
    const nowMs = monotonicClock.nowMs()
    deps.record.add('lookup', answered.entry.head.status, answered.source, nowMs - startedMs)
    return { query: text, ...(await describe(deps, answered, nowMs)) }
  } catch (thrown) {
    const error = asProxyError(thrown)
    const source = deps.record.addFailed('lookup', error, monotonicClock.nowMs() - startedMs)
    const units = error instanceof LookupError ? unitsOf(error) : 0
    const record: unknown = JSON.parse(error.body())
    return { query: text, status: error.status, record, tier: 'none', source, units, nextCosts: 1 }
  }
}

function queryIn(text: string): Query {
  const parsed = parseTarget(`/${encodeURIComponent(text)}`)
  if (parsed.kind === 'query' && (parsed.query.address !== undefined || /^\/AS\d+$/.test(parsed.query.target))) {
    return parsed.query
  }
  throw new ProxyError('bad_request', {
    message: 'Ask for an address (8.8.8.8, 2001:db8::1) or an AS number (AS15169)',
  })
}

async function describe(
  { keyClass }: ConsoleLookUpDeps,
  { source, entry, origin }: Answered,
  nowMs: number,
): Promise<Omit<AnsweredQuery, 'query'>> {
  const ofKey = origin?.keyId === undefined ? undefined : await keyClass(origin.keyId)
  const tier = tiers[source]
  const ttlMs = entry.freshLeftMs(nowMs)
  const isFree = tier === 'offline' || ttlMs > 0
  return {
    status: entry.head.status,
    record: recordIn(entry.answer.body.toString()),
    tier,
    source,
    ageSeconds: Math.floor(entry.ageMs(nowMs) / 1000),
    ttlSeconds: Math.max(0, Math.floor(ttlMs / 1000)),
    ...(ofKey !== undefined && { keyClass: ofKey }),
    units: unitsOf({ origin }),
    nextCosts: isFree ? 0 : 1,
  }
}

/** The record; upstream may answer in plain text too. */
function recordIn(body: string): unknown {
  try {
    return JSON.parse(body) as unknown
  } catch {
    return body
  }
}
