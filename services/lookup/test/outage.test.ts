import { noStore } from '@ipfleet/cache/answer-store.ts'
import { LruStore } from '@ipfleet/cache/lru-store.ts'
import { AnswerCache } from '@ipfleet/cache/answer-cache.ts'
import { loadAlone } from '@ipfleet/cache/flight/load.ts'
import { apiKey } from '@ipfleet/key-pool/api-key.ts'
import { KeyPool } from '@ipfleet/key-pool/key-pool.ts'
import { LocalKeyStore } from '@ipfleet/key-pool/local-key-store.ts'
import { OfflineAnswers } from '../src/lookup/own-answers.ts'
import { bundledOfflineDb } from '@ipfleet/offline/offline-db.ts'
import { type FakeIpinfo, startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { type ManualClock, manualClock } from '@ipfleet/testing/manual-clock.ts'
import { localBreakerStates } from '@ipfleet/upstream/shared-breaker-state.ts'
import { ipinfo } from '@ipfleet/upstream/providers/ipinfo.ts'
import { UpstreamClient } from '@ipfleet/upstream/upstream-client.ts'
import { UpstreamGate } from '@ipfleet/upstream/upstream-gate.ts'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { cacheDirectives } from '../src/http/cache-directives.ts'
import { Lookup } from '../src/lookup/lookup.ts'
import { parseTarget, type Query } from '../src/query/query.ts'
import { KeyCheck } from '../src/keys/key-check.ts'
import { BatchLoader } from '../src/upstream/batch-loader.ts'
import { UpstreamLoader } from '../src/upstream/upstream-loader.ts'

/** Upstream is dead for ten minutes of a clock that the test moves. */
const minuteMs = 60_000
const freshForMs = 5 * minuteMs
const staleForMs = 3 * minuteMs
const openMs = 10_000

let fake: FakeIpinfo
let clock: ManualClock
let client: UpstreamClient
let upstreamGate: UpstreamGate

beforeEach(async () => {
  fake = await startFakeIpinfo()
  clock = manualClock(1000)
  client = new UpstreamClient({
    provider: ipinfo({ legacy: fake.url, api: fake.apiUrl }),
    userAgent: 'test',
    maxBodyBytes: 100_000,
    maxSockets: 8,
    clock,
  })
  const breaker = { failureShare: 0.5, slowShare: 0.9, slowMs: 0, window: 10, minCalls: 4, openMs, probeMs: 6000 }
  upstreamGate = new UpstreamGate({ breaker, shared: localBreakerStates, concurrency: 8, isAlone: () => false, clock })
})
afterEach(async () => {
  client.close()
  await fake.close()
})

function lookupThat(failureMode: 'closed' | 'open'): Lookup {
  const pool = new KeyPool(
    [apiKey('outage-key-1'), apiKey('outage-key-2')],
    new LocalKeyStore(clock, { trialMs: 6000 }),
    { cooldownMs: minuteMs, quarantineMs: minuteMs },
    clock,
  )
  const loader = new UpstreamLoader({
    pool,
    client,
    gate: upstreamGate,
    check: new KeyCheck({
      ask: async () => ({ kind: 'failed', code: 'upstream_failed', detail: '' }),
      link: undefined,
    }),
    prefersRichest: true,
    maxPauseMs: minuteMs,
    freshForMs: () => freshForMs,
    redact: (text) => text,
    clock,
  })
  const cache = new AnswerCache({
    memory: new LruStore({ maxEntries: 100, recheckAfterMs: freshForMs }),
    shared: noStore,
    flight: { run: loadAlone },
    staleForMs,
    revalidateForMs: 0,
    clock,
    // No request is chosen for an early refresh.
    random: () => 1,
  })
  const offline = new OfflineAnswers(bundledOfflineDb(), { answersUnknown: false, emptyFields: [] })
  return new Lookup({
    cache,
    upstream: {
      loader,
      batchLoader: new BatchLoader({ upstream: loader, freshForMs: () => freshForMs }),
      microBatcher: undefined,
    },
    isShared: false,
    offline: failureMode === 'open' ? offline : undefined,
    requestTimeoutMs: 5000,
    clock,
  })
}

function queryOf(target: string): Query {
  const parsed = parseTarget(target)
  if (parsed.kind !== 'query') throw new Error(`${target} is no query`)
  return parsed.query
}

/** Where an answer came from, or the code of the failure. */
async function outcomeOf(lookup: Lookup, target: string): Promise<string> {
  try {
    return (await lookup.answer(queryOf(target), cacheDirectives(undefined))).source
  } catch (error) {
    return (error as { code: string }).code
  }
}

/** Enough failing calls, for other addresses, that the breaker opens. */
async function untilOpen(lookup: Lookup): Promise<void> {
  for (let host = 1; upstreamGate.state === 'closed' && host < 20; host += 1) await outcomeOf(lookup, `/9.9.0.${host}`)
}

describe.each([
  ['closed', 'upstream_paused'],
  ['open', 'offline'],
] as const)('upstream dead for ten minutes, FAILURE_MODE=%s', (failureMode, atLast) => {
  test(`is answered fresh, then stale, then ${atLast}; one request tries again; recovery is complete`, async () => {
    const lookup = lookupThat(failureMode)
    expect(await outcomeOf(lookup, '/8.8.8.8')).toBe('upstream')

    fake.behave({ kind: 'status', status: 500 })
    await untilOpen(lookup)
    expect(upstreamGate.state).toBe('open')
    clock.advance(4 * minuteMs)
    expect(await outcomeOf(lookup, '/8.8.8.8')).toBe('l1')

    clock.advance(2 * minuteMs)
    expect(await outcomeOf(lookup, '/8.8.8.8')).toBe('stale')

    clock.advance(4 * minuteMs)
    fake.heal()
    fake.clearCalls()
    const gate = fake.hold()
    const arrived = fake.nextCall()
    const probing = outcomeOf(lookup, '/8.8.4.4')
    await arrived
    const others = await Promise.all(['/8.8.8.8', '/1.1.1.1', '/9.9.9.9'].map((target) => outcomeOf(lookup, target)))
    expect(others).toEqual([atLast, atLast, atLast])
    expect(fake.calls).toHaveLength(1)

    gate.release()
    expect(await probing).toBe('upstream')
    expect(upstreamGate.state).toBe('closed')
    expect(await outcomeOf(lookup, '/8.8.8.8')).toBe('upstream')
    expect(await outcomeOf(lookup, '/8.8.8.8')).toBe('l1')
    expect(await outcomeOf(lookup, '/1.1.1.1')).toBe('upstream')
  })
})
