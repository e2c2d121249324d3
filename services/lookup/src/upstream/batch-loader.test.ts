import { describe, expect, test } from '@jest/globals'
import type { Outcome } from '@ipfleet/cache/outcome.ts'
import type { UpstreamRequest } from '@ipfleet/upstream/upstream-request.ts'
import { BatchLoader } from './batch-loader.ts'
import type { Upstream } from './upstream.ts'
import { parseTarget, type Query } from '../query/query.ts'
import type { LoadOptions } from './upstream.ts'

const query = (target: string): Query => {
  const parsed = parseTarget(target)
  if (parsed.kind !== 'query') throw new Error(`${target} is about the caller`)
  return parsed.query
}

interface Seen {
  readonly request: UpstreamRequest
  readonly items: readonly string[]
  readonly options: LoadOptions | undefined
}

/** An upstream that answers each item as it is told to, and remembers what it was asked. */
function upstreamWith(valueOf: (item: string, call: number) => unknown): { upstream: Upstream; seen: Seen[] } {
  const seen: Seen[] = []
  const load: Upstream['load'] = async (request, _deadlineMs, options) => {
    const items: string[] = request.body ? JSON.parse(request.body.bytes.toString()) : [request.path]
    seen.push({ request, items, options })
    const values = Object.fromEntries(items.map((item) => [item, valueOf(item, seen.length)]))
    const body = Buffer.from(JSON.stringify(request.body ? values : values[request.path], null, 2))
    return { kind: 'answer', answer: { status: 200, contentType: 'application/json', body }, freshForMs: 1 }
  }
  return { upstream: { load }, seen }
}

async function outcomesOf(
  upstream: Upstream,
  targets: readonly string[],
  takesBatches = true,
): Promise<Map<string, Outcome>> {
  const loader = new BatchLoader({ upstream, freshForMs: (path) => path.length, takesBatches })
  const settled = new Map<string, Outcome>()
  await loader.load(targets.map(query), { deadlineMs: 1000 }, async (outcomes) => {
    for (const [target, outcome] of outcomes) settled.set(target, outcome)
  })
  return settled
}
const rateLimited = { status: 429, error: { title: 'Rate limit exceeded' } }
const forbidden = { status: 403, error: { title: 'Forbidden' } }
const targetsOf = (count: number): string[] => Array.from({ length: count }, (_, at) => `/11.0.${at >> 8}.${at & 255}`)

test.each([403, 404, 405, 410, 411, 415, 501])(
  'where batches are answered with %i, each query is asked by itself',
  async (status) => {
    const { upstream, seen } = upstreamWith((item) => ({ item }))
    const refusal = { status, contentType: 'application/json', body: Buffer.from('{}') }
    const load: Upstream['load'] = async (request, ...rest) => {
      const outcome = await upstream.load(request, ...rest)
      return request.method === 'POST' ? { kind: 'answer', answer: refusal, freshForMs: 0 } : outcome
    }
    const settled = await outcomesOf({ load }, targetsOf(3))
    expect(seen.map(({ request }) => request.path)).toEqual(['/batch', ...targetsOf(3)])
    expect([...settled.values()]).toMatchObject(Array.from({ length: 3 }, () => ({ answer: { status: 200 } })))
  },
)

test.each([400, 413, 422])('a batch that upstream refuses with %i is asked in smaller parts', async (status) => {
  const { upstream, seen } = upstreamWith((item) => ({ ip: item }))
  const refusal = { status, contentType: 'application/json', body: Buffer.from('{}') }
  const load: Upstream['load'] = async (request, ...rest) => {
    const outcome = await upstream.load(request, ...rest)
    return (seen.at(-1)?.items.length ?? 0) > 10 ? { kind: 'answer', answer: refusal, freshForMs: 0 } : outcome
  }
  const settled = await outcomesOf({ load }, targetsOf(40))
  expect(seen.map(({ items }) => items.length)).toEqual([40, 10, 10, 10, 10])
  expect([...settled.values()]).toMatchObject(Array.from({ length: 40 }, () => ({ answer: { status: 200 } })))
})

/** An upstream that refuses every batch of which `isTaken` says no, and counts what it was asked. */
function refusing(isTaken: (items: readonly string[]) => boolean, status = 400) {
  const { upstream, seen } = upstreamWith((item) => ({ ip: item.replace('/', '') }))
  const refusal = { status, contentType: 'application/json', body: Buffer.from('{}') }
  const load: Upstream['load'] = async (request, ...rest) => {
    const outcome = await upstream.load(request, ...rest)
    const { items = [] } = seen.at(-1) ?? {}
    return request.method === 'POST' && !isTaken(items) ? { kind: 'answer', answer: refusal, freshForMs: 0 } : outcome
  }
  const countOf = (method: string): number => seen.filter(({ request }) => request.method === method).length
  return { upstream: { load }, countOf }
}

test.each([400, 413, 422])('where any batch is refused with %i, each query is asked by itself', async (status) => {
  const { upstream, countOf } = refusing(() => false, status)
  const settled = await outcomesOf(upstream, targetsOf(1000))
  expect([...settled.values()]).toMatchObject(Array.from({ length: 1000 }, () => ({ answer: { status: 200 } })))
  expect(countOf('GET')).toBe(1000)
  expect(countOf('POST')).toBeLessThanOrEqual(16)
})

test.each([
  { which: 'the first', at: [0] },
  { which: 'one in the middle', at: [600] },
  { which: 'the last', at: [999] },
  { which: 'the first three', at: [0, 1, 2] },
  { which: 'the first and the last', at: [0, 999] },
])(
  'a batch of a thousand refused for $which: no other is asked by itself, and it takes few requests',
  async ({ at }) => {
    const targets = targetsOf(1000)
    const bad = new Set(at.map((one) => targets[one]?.slice(1)))
    const { upstream, countOf } = refusing((items) => !items.some((item) => bad.has(item)))
    const settled = await outcomesOf(upstream, targets)
    expect([...settled.values()]).toMatchObject(Array.from({ length: 1000 }, () => ({ answer: { status: 200 } })))
    expect(countOf('GET')).toBe(at.length)
    expect(countOf('POST')).toBeLessThanOrEqual(22 * at.length)
  },
)

test.each(['Rate limit exceeded', 5, true])('%j in the place of a record is no answer', async (value) => {
  const { upstream } = upstreamWith((item) => (item === '11.0.0.0' ? value : { ip: item }))
  const outcomes = await outcomesOf(upstream, targetsOf(2))
  expect(outcomes.get('/11.0.0.0')).toMatchObject({ kind: 'failure', code: 'upstream_invalid' })
  expect(outcomes.get('/11.0.0.1')).toMatchObject({ kind: 'answer' })
})

describe('many queries', () => {
  test('go to the batch of their host, Lite to its own, in requests of at most 1000', async () => {
    const { upstream, seen } = upstreamWith((item) => ({ item }))
    await outcomesOf(upstream, [
      ...targetsOf(1500),
      '/AS1',
      '/lite/1.1.1.1',
      '/lookup/1.1.1.1/geo',
      '/resproxy/1.1.1.1',
    ])
    expect(seen.map(({ request: { surface, path }, items }) => [surface, path, items.length])).toEqual([
      ['legacy', '/batch', 1000],
      ['legacy', '/batch', 501],
      ['api', '/batch/lite', 1],
      ['api', '/batch', 2],
    ])
    expect(seen.flatMap(({ items }) => items.slice(-1))).toContain('1.1.1.1')
    expect(seen.map(({ options }) => options?.units)).toEqual([1000, 501, 0, 2])
  })

  test('each have the outcome that they would have had alone', async () => {
    const { upstream } = upstreamWith((item) => (item === 'AS0' ? { error: 'ASN Not Found!' } : { asn: item }))
    const outcomes = await outcomesOf(upstream, ['/AS1', '/AS0'])
    expect(outcomes.get('/AS1')).toMatchObject({ answer: { status: 200 }, freshForMs: 4 })
    expect(outcomes.get('/AS0')).toMatchObject({ kind: 'answer', answer: { status: 404 } })
  })

  test('are settled in slices, between which others have their turn', async () => {
    const { upstream } = upstreamWith((item) => ({ item }))
    const loader = new BatchLoader({ upstream, freshForMs: () => 1 })
    const sizes: (number | 'turn')[] = []
    await loader.load(targetsOf(900).map(query), { deadlineMs: 1000 }, async (outcomes) => {
      sizes.push(outcomes.size)
      setImmediate(() => sizes.push('turn'))
    })
    expect(sizes.filter((size) => size !== 'turn')).toEqual([250, 250, 250, 150])
    for (const [at, size] of sizes.entries()) expect(size === 'turn' || sizes[at - 1] !== size).toBe(true)
    expect(sizes.slice(0, 2)).toEqual([250, 'turn'])
  })

  test('of which the answer is no valid JSON fail, whatever it looks like from outside', async () => {
    const body = Buffer.from('{"AS1": {"a": 1}, "AS2": {"a": }}')
    const checked: (boolean | undefined)[] = []
    const load: Upstream['load'] = async (_request, _deadlineMs, options) => {
      const answer = { status: 200, contentType: 'application/json', body }
      checked.push(options?.makesSense?.(answer), options?.makesSense?.({ ...answer, status: 404 }))
      return { kind: 'answer', answer, freshForMs: 1 }
    }
    const outcomes = await outcomesOf({ load }, ['/AS1', '/AS2'])
    expect(checked).toEqual([false, true])
    expect([...outcomes.values()]).toMatchObject([{ code: 'upstream_invalid' }, { code: 'upstream_invalid' }])
  })

  test('that are missing in the answer fail; the others do not', async () => {
    const { upstream } = upstreamWith((item) => (item === 'AS1' ? { asn: item } : undefined))
    const outcomes = await outcomesOf(upstream, ['/AS1', '/AS2'])
    expect(outcomes.get('/AS1')?.kind).toBe('answer')
    expect(outcomes.get('/AS2')).toMatchObject({ kind: 'failure', code: 'upstream_invalid' })
  })

  test.each<[string, unknown]>([
    ['/1.1.1.1', { ip: '2.2.2.2', hostname: '1.1.1.1' }],
    ['/1.1.1.1', { hostname: '1.1.1.1' }],
    ['/1.1.1.1/privacy', [{ vpn: false }]],
    ['/AS1', { asn: 'AS2' }],
    ['/AS1', ['AS1']],
  ])('of which the value is no record of what was asked fail: %s, %j', async (target, value) => {
    const { upstream } = upstreamWith(() => value)
    const outcome = (await outcomesOf(upstream, [target])).get(target)
    expect(outcome).toMatchObject({ kind: 'failure', code: 'upstream_invalid' })
  })

  test('whose record is an empty string are passed on, neither kept nor shared', async () => {
    const { upstream } = upstreamWith(() => '')
    const outcome = (await outcomesOf(upstream, ['/AS1'])).get('/AS1')
    expect(outcome).toMatchObject({ kind: 'answer', freshForMs: 0, isPrivate: true })
  })

  test('that a key could not pay for are asked again, and only those', async () => {
    const { upstream, seen } = upstreamWith((item, call) =>
      call === 1 && item !== 'AS1' ? rateLimited : { asn: item },
    )
    const outcomes = await outcomesOf(upstream, ['/AS1', '/AS2', '/AS3'])
    expect(seen.map(({ items }) => items)).toEqual([
      ['AS1', 'AS2', 'AS3'],
      ['AS2', 'AS3'],
    ])
    expect([...outcomes.values()].map(({ kind }) => kind)).toEqual(['answer', 'answer', 'answer'])
  })

  test.each([
    [
      { AS1: rateLimited, AS2: {} },
      { kind: 'limited', reason: 'limited', areAll: false },
    ],
    [{ AS1: rateLimited }, { kind: 'limited', reason: 'limited', areAll: true }],
    [
      { AS1: {}, AS2: { status: 402, error: { title: 'Payment required' } } },
      { kind: 'limited', reason: 'exhausted', areAll: false },
    ],
    [
      { AS1: forbidden, AS2: forbidden },
      { kind: 'denied', answer: expect.objectContaining({ status: 403 }) },
    ],
    [{ AS1: forbidden, AS2: {} }, undefined],
    [{ AS1: { asn: 'AS429', status: 429 } }, undefined],
    [{ AS1: {} }, undefined],
  ])('%j says of the key: %j', async (answer, expected) => {
    const { upstream, seen } = upstreamWith(() => ({}))
    await outcomesOf(upstream, ['/AS1', ...('AS2' in answer ? ['/AS2'] : [])])
    const body = Buffer.from(JSON.stringify(answer))
    expect(seen[0]?.options?.verdictInside?.({ status: 200, contentType: 'application/json', body })).toEqual(expected)
  })

  test('for which no key has enough left are asked in smaller parts', async () => {
    const { upstream, seen } = upstreamWith((item) => ({ item }))
    const exhausted: Outcome = { kind: 'failure', code: 'keys_exhausted', retryAfterSeconds: 7 }
    const poor: Upstream = {
      load: async (request, deadlineMs, options) =>
        (options?.units ?? 1) > 30 ? exhausted : upstream.load(request, deadlineMs, options),
    }
    const outcomes = await outcomesOf(poor, targetsOf(100))
    expect(outcomes.size).toBe(100)
    expect(seen.map(({ items }) => items.length)).toEqual([25, 25, 25, 25])
  })

  test('fail as one when nothing is left at all', async () => {
    const exhausted: Outcome = { kind: 'failure', code: 'keys_exhausted', retryAfterSeconds: 7 }
    let calls = 0
    const outcomes = await outcomesOf({ load: async () => (calls++, exhausted) }, targetsOf(1000))
    expect(outcomes.size).toBe(1000)
    expect(new Set(outcomes.values())).toEqual(new Set([exhausted]))
    expect(calls).toBeLessThanOrEqual(6)
  })

  test('are asked one by one of an upstream that takes no batches', async () => {
    const { upstream, seen } = upstreamWith((item) => ({ item }))
    const outcomes = await outcomesOf(upstream, targetsOf(40), false)
    expect(outcomes.size).toBe(40)
    expect(seen.map(({ request: { method, path } }) => `${method} ${path}`)).toEqual(
      targetsOf(40).map((target) => `GET ${target}`),
    )
  })
})
