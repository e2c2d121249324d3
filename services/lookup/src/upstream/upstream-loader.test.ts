import { beforeEach, describe, expect, test } from '@jest/globals'
import type { Outcome } from '@ipfleet/cache/outcome.ts'
import { apiKey } from '@ipfleet/key-pool/api-key.ts'
import { KeyPool } from '@ipfleet/key-pool/key-pool.ts'
import { LocalKeyStore } from '@ipfleet/key-pool/local-key-store.ts'
import { type ManualClock, manualClock } from '@ipfleet/testing/manual-clock.ts'
import { localBreakerStates } from '@ipfleet/upstream/shared-breaker-state.ts'
import { ipinfo } from '@ipfleet/upstream/providers/ipinfo.ts'
import type { Reply } from '@ipfleet/upstream/reply.ts'
import type { UpstreamClient } from '@ipfleet/upstream/upstream-client.ts'
import { UpstreamGate } from '@ipfleet/upstream/upstream-gate.ts'
import type { UpstreamRequest } from '@ipfleet/upstream/upstream-request.ts'
import { KeyCheck } from '../keys/key-check.ts'
import { UpstreamLoader } from './upstream-loader.ts'

const requests = {
  core: { method: 'GET', surface: 'legacy', path: '/8.8.8.8', expected: 'json' },
  privacy: { method: 'GET', surface: 'legacy', path: '/8.8.8.8/privacy', expected: 'json' },
  asn: { method: 'GET', surface: 'legacy', path: '/AS15169', expected: 'json' },
  lookup: { method: 'GET', surface: 'api', path: '/lookup/8.8.8.8', expected: 'json' },
  map: { method: 'POST', surface: 'legacy', path: '/tools/map', expected: 'any' },
  'batch/core': { method: 'POST', surface: 'legacy', path: '/batch', expected: 'object', batchOf: 'core' },
} as const satisfies Record<string, UpstreamRequest>

type Name = keyof typeof requests
const names = Object.keys(requests) as Name[]

/** What upstream says instead of an answer, and until when. */
interface Limit {
  readonly status: 402 | 429
  readonly untilMs: number
}

const unknownToken = { status: 403, error: { title: 'Unknown token' } }
const refusals = [
  [400, { title: 'Wrong module or field type' }],
  [401, {}],
  [403, unknownToken],
  [403, { title: 'Your token does not have access to this API' }],
] as const

const provider = ipinfo({ legacy: '', api: '' })
const month = 32 * 86_400_000

let clock: ManualClock

beforeEach(() => {
  clock = manualClock(1_000_000)
})

/** Upstream as it is: what each key's plan has, and which limits run. */
class Upstream {
  readonly plans = new Map<string, ReadonlySet<Name>>()
  readonly limits = new Map<string, Limit>()
  refusal: (typeof refusals)[number] = refusals[0]
  readonly blocked = new Set<string>()
  calls = 0

  reply(request: UpstreamRequest, secret: string): Reply {
    this.calls += 1
    const { name } = provider.productOf(request)
    if (request.path === '/me') return this.#read(request, 200, {})
    if (this.blocked.has(request.path)) return this.#read(request, 403, unknownToken)
    const limit = this.limits.get(`${secret}/${name}`) ?? this.limits.get(`${secret}/`)
    if (limit && limit.untilMs > clock.nowMs()) {
      const seconds = Math.ceil((limit.untilMs - clock.nowMs()) / 1000)
      return this.#read(request, limit.status, { error: 'over the limit' }, { 'retry-after': String(seconds) })
    }
    if (!this.plans.get(secret)?.has(name as Name)) {
      const [status, body] = this.refusal
      return this.#read(request, status, body)
    }
    return this.#read(request, 200, { ip: '8.8.8.8', asn: 'AS15169' })
  }

  isAble(secret: string, name: Name): boolean {
    const limits = [this.limits.get(`${secret}/${name}`), this.limits.get(`${secret}/`)]
    return this.plans.get(secret)?.has(name) === true && limits.every((limit) => (limit?.untilMs ?? 0) <= clock.nowMs())
  }

  #read(request: UpstreamRequest, status: number, body: object, headers = {}): Reply {
    const answer = { status, contentType: 'application/json', body: Buffer.from(JSON.stringify(body)) }
    return provider.read(answer, headers, request)
  }
}

function fleetOf(upstream: Upstream, secrets: readonly string[]): { pool: KeyPool; loader: UpstreamLoader } {
  const ask = async (request: UpstreamRequest, secret: string): Promise<Reply> => upstream.reply(request, secret)
  const times = { cooldownMs: 60_000, quarantineMs: 600_000 }
  const store = new LocalKeyStore(clock, { trialMs: 6000 })
  const pool = new KeyPool(
    secrets.map((secret) => apiKey(secret)),
    store,
    times,
    clock,
    () => clock.nowMs(),
  )
  const breaker = {
    failureShare: 0.5,
    slowShare: 0.9,
    slowMs: 0,
    window: 50,
    minCalls: 10,
    openMs: 10_000,
    probeMs: 6000,
  }
  const me: UpstreamRequest = { method: 'GET', surface: 'legacy', path: '/me', expected: 'json' }
  const loader = new UpstreamLoader({
    pool,
    // What the loader uses of it.
    client: { provider, ask } as unknown as UpstreamClient,
    gate: new UpstreamGate({ breaker, shared: localBreakerStates, concurrency: 8, isAlone: () => false, clock }),
    check: new KeyCheck({ ask: ({ secret }) => ask(me, secret), link: undefined, clock }),
    prefersRichest: true,
    maxPauseMs: 60_000,
    freshForMs: () => 0,
    redact: (text) => text,
    clock,
  })
  return { pool, loader }
}

/** Mulberry32: a seed tells the whole run. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d_2b_79_f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** Whether the fleet itself keeps the key from the product, for a limit or a quota. */
async function isResting(pool: KeyPool, id: string, name: Name): Promise<boolean> {
  const state = (await pool.read()).find((one) => one.id === id)
  const own = state?.products?.some(({ product, reason }) => reason !== 'denied' && isOf(product, name)) ?? false
  const isWhole = state?.state === 'cooling' && state.reason !== 'denied' && state.products === undefined
  return own || isWhole
}

const isOf = (product: string, name: Name): boolean => product === name || name === `batch/${product}`

/** Random refusals: product × status × key × plan. */
test.each(Array.from({ length: 25 }, (_, seed) => [seed]))(
  'no product is unavailable while a key that may ask it is neither exhausted nor resting for it (seed %i)',
  async (seed) => {
    const random = randomFrom(seed)
    const upstream = new Upstream()
    const secrets = ['one', 'two', 'three']
    for (const secret of secrets)
      upstream.plans.set(secret, new Set(names.filter((name) => name === 'core' || random(3) > 0)))
    const { pool, loader } = fleetOf(upstream, secrets)
    const broken: string[] = []
    for (let step = 0; step < 60; step += 1) {
      upstream.refusal = refusals[random(refusals.length)] as (typeof refusals)[number]
      clock.advance(random(4) * 1000)
      const secret = secrets[random(secrets.length)] as string
      if (random(3) === 0) {
        const name = names[random(names.length)] as Name
        // No two alike within moments: that would be the source.
        const untilMs = clock.nowMs() + 20_000 + secrets.indexOf(secret) * 20_000 + random(5) * 1000
        if (random(4) > 0 || name !== 'core') upstream.limits.set(`${secret}/${name}`, { status: 429, untilMs })
        else upstream.limits.set(`${secret}/`, { status: 402, untilMs: clock.nowMs() + random(month) })
      }
      const name = names[random(names.length)] as Name
      const able = secrets.filter((one) => upstream.isAble(one, name))
      const resting = await Promise.all(able.map((one) => isResting(pool, apiKey(one).id, name)))
      const outcome = await loader.load(requests[name], clock.nowMs() + 5000)
      const isAnswered = outcome.kind === 'answer' && outcome.answer.status === 200
      if (resting.includes(false) && !isAnswered) broken.push(`step ${step}, ${name}: ${JSON.stringify(outcome)}`)
    }
    expect(broken).toEqual([])
  },
  5000,
)

test('of fifty keys one may ask a module: it is always answered, and each other key is asked once', async () => {
  const upstream = new Upstream()
  const secrets = Array.from({ length: 50 }, (_, at) => `key-${at}`)
  for (const secret of secrets)
    upstream.plans.set(secret, new Set<Name>(secret === 'key-31' ? ['core', 'privacy'] : ['core']))
  const { loader } = fleetOf(upstream, secrets)
  for (let request = 0; request < 100; request += 1) {
    upstream.refusal = refusals[request % refusals.length] as (typeof refusals)[number]
    const outcome = await loader.load(requests.privacy, clock.nowMs() + 5000)
    expect(outcome).toMatchObject({ kind: 'answer', answer: { status: 200 } })
  }
  // Of the others at most one call each, and one /me.
  expect(upstream.calls).toBeLessThanOrEqual(100 + 49 + 49)
})

test('four hundred keys limited alike: three calls, and the source is paused for as long as upstream says', async () => {
  const upstream = new Upstream()
  const secrets = Array.from({ length: 400 }, (_, at) => `key-${at}`)
  for (const secret of secrets) {
    upstream.plans.set(secret, new Set<Name>(['core', 'privacy']))
    upstream.limits.set(`${secret}/core`, { status: 429, untilMs: clock.nowMs() + 30_000 })
  }
  const { pool, loader } = fleetOf(upstream, secrets)
  const first = await loader.load(requests.core, clock.nowMs() + 5000)
  expect([upstream.calls, first]).toMatchObject([3, { kind: 'failure', code: 'keys_exhausted', retryAfterSeconds: 30 }])
  for (let request = 0; request < 10; request += 1) await loader.load(requests.core, clock.nowMs() + 5000)
  expect(upstream.calls).toBe(3)
  expect((await pool.read()).every(({ state }) => state === 'active')).toBe(true)
  expect(await loader.load(requests.privacy, clock.nowMs() + 5000)).toMatchObject({ kind: 'answer' })
  clock.advance(30_000)
  expect(await loader.load(requests.core, clock.nowMs() + 5000)).toMatchObject({ kind: 'answer' })
})

test('a 402 of all keys whose accounts have enough left rests none of them, though none has answered yet', async () => {
  const upstream = new Upstream()
  const secrets = ['key-1', 'key-2', 'key-3', 'key-4']
  const { pool, loader } = fleetOf(upstream, secrets)
  for (const secret of secrets) {
    upstream.plans.set(secret, new Set<Name>(['core']))
    upstream.limits.set(`${secret}/`, { status: 402, untilMs: Infinity })
    await pool.noteAccount(apiKey(secret).id, { remaining: 900, limit: 1000, resetMs: month }, 0)
  }
  const refused = await loader.load(requests.core, clock.nowMs() + 5000)
  expect(refused).toMatchObject({ kind: 'failure', code: 'keys_exhausted', retryAfterSeconds: 1 })
  expect((await pool.read()).map(({ state }) => state)).toEqual(secrets.map(() => 'active'))
  upstream.limits.clear()
  clock.advance(1000)
  expect(await loader.load(requests.core, clock.nowMs() + 5000)).toMatchObject({ kind: 'answer' })
})

const privacyOf = (address: string): UpstreamRequest => ({ ...requests.privacy, path: `/${address}/privacy` })

describe('a 403 about a module of which nothing is known yet', () => {
  test('that was about a blocked address keeps no other address of the module from being answered', async () => {
    const upstream = new Upstream()
    upstream.plans.set('key-1', new Set<Name>(['core', 'privacy']))
    upstream.blocked.add('/1.2.3.4/privacy')
    const { loader } = fleetOf(upstream, ['key-1'])
    const load = (address: string): Promise<Outcome> => loader.load(privacyOf(address), clock.nowMs() + 5000)
    for (let time = 0; time < 3; time += 1) {
      expect(await load('1.2.3.4')).toMatchObject({ kind: 'answer', answer: { status: 403 } })
      clock.advance(10_000)
    }
    expect(await load('8.8.8.8')).toMatchObject({ kind: 'answer', answer: { status: 200 } })
    expect(await load('1.2.3.4')).toMatchObject({ answer: { status: 403 } })
    expect(await load('8.8.8.8')).toMatchObject({ answer: { status: 200 } })
  })

  test('that no plan has is asked of each key for two addresses; then it is refused from memory', async () => {
    const upstream = new Upstream()
    upstream.refusal = refusals[2]
    const secrets = ['key-1', 'key-2', 'key-3']
    for (const secret of secrets) upstream.plans.set(secret, new Set<Name>(['core']))
    const { loader } = fleetOf(upstream, secrets)
    for (const address of ['1.1.1.1', '1.1.1.2', '1.1.1.3', '1.1.1.4', '1.1.1.5']) {
      const refused = await loader.load(privacyOf(address), clock.nowMs() + 5000)
      expect(refused).toMatchObject({ kind: 'answer', answer: { status: 403 } })
      clock.advance(10_000)
    }
    // Two refusals of each key, and one look at each account.
    expect(upstream.calls).toBe(9)
  })
})
