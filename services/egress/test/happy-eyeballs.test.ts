import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { until } from '@ipfleet/testing/until.ts'
import { DialHarness, toAddresses } from './dial-harness.ts'
import { ListedPool } from './listed-pool.ts'

/** RFC 8305 asks for one of 250 ms; timers may be early by one. */
const minDelayMs = 249
const both = ['::1', '127.0.0.1']

let harness: DialHarness
beforeEach(() => {
  harness = new DialHarness()
})
afterEach(() => harness.clear())

describe('where target and pool have both families', () => {
  test('the family of the source that the pool gives is tried, and ordinarily no other', async () => {
    const origin = await harness.origin('::1')
    const pool = new ListedPool('127.0.0.2', '::1')
    const dialled = await harness.dial(harness.dialer({ pool }), toAddresses(both, origin.port))
    expect(dialled).toMatchObject({ kind: 'connected', address: '::1', source: { address: '::1' } })
    expect(pool.requests.map(({ families }) => families)).toEqual([[6, 4]])
    expect(pool.reports).toEqual(['::1 connected at site.example'])
  })

  test('a slow one is overtaken by the other after a quarter of a second, and not blamed', async () => {
    const { port } = await harness.silent('::1')
    const origin = await harness.origin('127.0.0.1', port)
    const pool = new ListedPool('127.0.0.2', '::1')
    const startedMs = performance.now()
    const dialled = await harness.dial(harness.dialer({ pool }), toAddresses(both, port))
    const tookMs = performance.now() - startedMs
    expect(dialled).toMatchObject({ kind: 'connected', address: '127.0.0.1', source: { address: '127.0.0.2' } })
    expect(tookMs).toBeGreaterThan(minDelayMs)
    expect(tookMs).toBeLessThan(15_000)
    expect(dialled).toHaveProperty('durationMs', expect.any(Number))
    expect(await origin.sources(1)).toEqual(['127.0.0.2'])
    expect(pool.requests.map(({ families }) => families)).toEqual([[6, 4], [4]])
    expect(pool.reports).toEqual(['127.0.0.2 connected at site.example'])
  })

  test('one that fails gives way to the other at once', async () => {
    const origin = await harness.origin('127.0.0.1')
    const pool = new ListedPool('127.0.0.2', '::1')
    const dialled = await harness.dial(harness.dialer({ pool }), toAddresses(both, origin.port))
    expect(dialled).toMatchObject({ kind: 'connected', address: '127.0.0.1' })
    expect(pool.reports).toEqual(['::1 target_failed at site.example', '127.0.0.2 connected at site.example'])
  })

  test('both may fail, each told of once', async () => {
    const port = await harness.closedPort('127.0.0.1')
    const pool = new ListedPool('127.0.0.2', '::1')
    const dialled = await harness.dialer({ pool }).dial(toAddresses(both, port))
    expect(dialled).toMatchObject({ kind: 'failed', code: 'ECONNREFUSED', source: { address: '127.0.0.2' } })
    expect(pool.reports).toEqual(['::1 target_failed at site.example', '127.0.0.2 target_failed at site.example'])
  })

  test('both may be silent, and the time is over once', async () => {
    const { port } = await harness.silent('::')
    const pool = new ListedPool('127.0.0.2', '::1')
    const dialled = await harness.dialer({ pool, connectTimeoutMs: 500 }).dial(toAddresses(both, port))
    expect(dialled).toMatchObject({ kind: 'failed', code: 'ETIMEDOUT', source: { address: '::1' } })
    expect(pool.reports).toEqual(['::1 target_failed at site.example', '127.0.0.2 target_failed at site.example'])
  })

  test('a client that leaves ends both', async () => {
    const { port } = await harness.silent('::')
    const [pool, leaves] = [new ListedPool('127.0.0.2', '::1'), new AbortController()]
    const dialling = harness.dialer({ pool }).dial(toAddresses(both, port, { signal: leaves.signal }))
    await until(() => pool.requests.length === 2)
    leaves.abort()
    expect(await dialling).toEqual({ kind: 'aborted' })
    expect(pool.reports).toEqual([])
  })

  test('sources of one family that are all of no use give way to the other', async () => {
    const origin = await harness.origin('127.0.0.1')
    const pool = new ListedPool('2001:db8::7', '127.0.0.2')
    const dialled = await harness.dial(harness.dialer({ pool }), toAddresses(both, origin.port))
    expect(dialled).toMatchObject({ kind: 'connected', address: '127.0.0.1' })
    expect(pool.reports).toEqual(['2001:db8::7 not_ours at site.example', '127.0.0.2 connected at site.example'])
  })
})

describe('where one of them has a single family', () => {
  test('a pool without the other ends nothing', async () => {
    const { port } = await harness.silent('::1')
    const pool = new ListedPool('::1')
    const dialled = await harness.dialer({ pool, connectTimeoutMs: 500 }).dial(toAddresses(both, port))
    expect(dialled).toMatchObject({ kind: 'failed', code: 'ETIMEDOUT', source: { address: '::1' } })
  })

  test('what the target did says more than what the pool lacks', async () => {
    const port = await harness.closedPort('::1')
    const dialled = await harness.dialer({ pool: new ListedPool('::1') }).dial(toAddresses(both, port))
    expect(dialled).toMatchObject({ kind: 'failed', code: 'ECONNREFUSED', source: { address: '::1' } })
  })
})

describe('a session', () => {
  const session = { id: 'a', ttlSeconds: undefined, hard: false }

  test('keeps its address though the other family might be faster', async () => {
    const { port } = await harness.silent('::1')
    const origin = await harness.origin('127.0.0.1', port)
    const pool = new ListedPool('127.0.0.2', '::1')
    const dialer = harness.dialer({ pool, connectTimeoutMs: 5000 })
    const startedMs = performance.now()
    const dialled = await harness.dial(dialer, toAddresses(both, port, { session }))
    expect(performance.now() - startedMs).toBeGreaterThan(2499)
    expect(dialled).toMatchObject({ kind: 'connected', source: { address: '127.0.0.2' } })
    expect(await origin.sources(1)).toEqual(['127.0.0.2'])
  })

  test('that is hard rather fails than it moves', async () => {
    const origin = await harness.origin('127.0.0.1')
    const pool = new ListedPool('127.0.0.2', '::1')
    const hard = { ...session, hard: true }
    const dialled = await harness.dialer({ pool }).dial(toAddresses(both, origin.port, { session: hard }))
    expect(dialled).toMatchObject({ kind: 'failed', code: 'ECONNREFUSED', source: { address: '::1' } })
    expect(pool.requests).toHaveLength(1)
  })
})
