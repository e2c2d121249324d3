import { describe, expect, test } from '@jest/globals'
import {
  a,
  b,
  c,
  three,
  site,
  usePools,
  started,
  pass,
  nextRound,
  told,
  request,
  sourceOf,
  next,
  taken,
  source,
  report,
} from '../../test/live-pool.ts'
import type { Session, Source } from './source-pool.ts'

usePools()

const session = (more: Partial<Session> = {}): Session => ({ id: 'a', ttlSeconds: undefined, hard: false, ...more })

describe('the next source', () => {
  test('is of a family that the target has, the better one where the pool has both', async () => {
    const pool = await started([a, '2001:db8::1', b])
    expect(taken(pool, 3, { families: [6, 4] })).toEqual(['2001:db8::1', '2001:db8::1', '2001:db8::1'])
    expect(taken(pool, 3, { families: [4] })).toEqual([a, b, a])
    expect(sourceOf(pool.next(request({ families: [6] })))).toEqual({
      address: '2001:db8::1',
      family: 6,
      listedAs: '2001:db8::1',
    })
  })

  test('is of the other family when all of the better one are out', async () => {
    const pool = await started([a, '2001:db8::1'])
    pool.report({ address: '2001:db8::1', family: 6, listedAs: '2001:db8::1' }, site, 'not_ours')
    expect(next(pool, { families: [6, 4] })).toBe(a)
  })

  test('is none when the pool has no address of the target’s families', async () => {
    const pool = await started(three)
    expect(pool.next(request({ families: [6] }))).toEqual({ kind: 'no_family' })
  })

  test('is none that this request has tried', async () => {
    const pool = await started(three)
    expect(taken(pool, 3, { tried: [source(a), source(c)] })).toEqual([b, b, b])
    expect(pool.next(request({ tried: three.map(source) }))).toEqual({ kind: 'all_out', retryAfterSeconds: 1 })
  })

  test('of a prefix is another each time, and a request tries three of it', async () => {
    const pool = await started(['2001:db8::/64'])
    const tried: Source[] = []
    for (let attempt = 0; attempt < 3; attempt += 1) tried.push(sourceOf(pool.next(request({ families: [6], tried }))))
    expect(new Set(tried.map(({ address }) => address)).size).toBe(3)
    expect(tried[0]).toMatchObject({ family: 6, listedAs: '2001:db8::/64' })
    expect(pool.next(request({ families: [6], tried }))).toMatchObject({ kind: 'all_out' })
  })

  test('binds nothing where there is no pool, whatever is said of it', async () => {
    const pool = await started([])
    const chosen = sourceOf(pool.next(request({ families: [6, 4] })))
    expect(chosen).toEqual({ address: '', family: 6, listedAs: 'system' })
    for (let failure = 0; failure < 9; failure += 1) pool.report(chosen, site, 'target_failed')
    pool.report(chosen, site, 'not_ours')
    expect(sourceOf(pool.next(request({ families: [6, 4] })))).toBe(chosen)
  })
})

describe('use', () => {
  test('that finds an address not ours takes it out at once; the next good check brings it back', async () => {
    const pool = await started(three)
    report(pool, a, 'not_ours')
    report(pool, a, 'not_ours')
    expect(told()).toEqual([`${a} out: not_ours`])
    expect(new Set(taken(pool, 10))).toEqual(new Set([b, c]))
    await nextRound()
    expect(told()).toEqual([`${a} back`])
  })

  test('that finds one address of a prefix not ours takes the prefix out', async () => {
    const pool = await started(['2001:db8::/64', '2001:db8:1::/64'])
    pool.report({ address: '2001:db8::7', family: 6, listedAs: '2001:db8::/64' }, site, 'not_ours')
    expect(told()).toEqual(['2001:db8::/64 out: not_ours'])
    expect(next(pool, { families: [6] })).toMatch(/^2001:db8:1:/)
  })

  test('that fails, without ports or at a dead target, takes nobody out', async () => {
    const pool = await started(three)
    for (let round = 0; round < 20; round += 1)
      for (const each of three) report(pool, each, 'target_failed', 'no_ports')
    expect(told()).toEqual([])
    expect(taken(pool, 3)).toEqual(three)
  })

  test('of a site that blocks one address keeps that one away from that site only', async () => {
    const pool = await started(three)
    report(pool, a, 'connected', 'refused_by_site')
    report(pool, b, 'connected')
    report(pool, a, 'connected', 'refused_by_site', 'connected', 'refused_by_site')
    expect(told()).toEqual([`${a} benched at ${site}`])
    expect(taken(pool, 300).filter((each) => each === b)).toHaveLength(150)
    expect(new Set(taken(pool, 10, { site: 'other.example' }))).toEqual(new Set(three))
    await pass(300_000)
    expect(new Set(taken(pool, 10))).toEqual(new Set(three))
  })
})

describe('when all are out', () => {
  test('the next check may bring them back', async () => {
    const pool = await started([a, b])
    report(pool, a, 'not_ours')
    report(pool, b, 'not_ours')
    expect(pool.next(request())).toEqual({ kind: 'all_out', retryAfterSeconds: 9 })
    await pass(8500)
    expect(pool.next(request())).toEqual({ kind: 'all_out', retryAfterSeconds: 1 })
  })

  test('or the end of a bench at the site', async () => {
    const pool = await started([a, b], { siteBenchMs: 4000 })
    report(pool, a, 'target_failed')
    report(pool, b, 'connected')
    report(pool, a, 'target_failed', 'target_failed')
    await pass(1500)
    report(pool, b, 'not_ours')
    expect(pool.next(request())).toEqual({ kind: 'all_out', retryAfterSeconds: 3 })
  })
})

describe('a session', () => {
  test('keeps its address, while others take turns', async () => {
    const pool = await started(three)
    const kept = taken(pool, 50, { session: session() })
    expect(new Set(kept).size).toBe(1)
    expect(taken(pool, 3)).toEqual(three)
  })

  test('moves when its address is out, and returns with it', async () => {
    const pool = await started(three)
    const own = next(pool, { session: session() })
    report(pool, own, 'not_ours')
    const other = next(pool, { session: session() })
    expect(other).not.toBe(own)
    expect(next(pool, { session: session() })).toBe(other)
    await nextRound()
    expect(next(pool, { session: session() })).toBe(own)
  })

  test('that is hard rather has none', async () => {
    const pool = await started(three)
    const hard = session({ hard: true })
    const own = next(pool, { session: hard })
    expect(own).toBe(next(pool, { session: session() }))
    expect(pool.next(request({ session: hard, tried: [source(own)] }))).toEqual({ kind: 'session_lost' })
    report(pool, own, 'not_ours')
    expect(pool.next(request({ session: hard }))).toEqual({ kind: 'session_lost' })
  })

  test('has none when all are out', async () => {
    const pool = await started([a, b])
    for (const each of [a, b]) report(pool, each, 'not_ours')
    expect(pool.next(request({ session: session() }))).toMatchObject({ kind: 'all_out' })
  })

  test('has the same address after a restart', async () => {
    const many = Array.from({ length: 40 }, (_, index) => session({ id: `s${index}`, ttlSeconds: 3600 }))
    const entries = [...three, '10.0.0.0/16', '192.0.2.4']
    const before = await started(entries)
    const addresses = many.map((each) => next(before, { session: each }))
    const after = await started(entries)
    expect(many.map((each) => next(after, { session: each }))).toEqual(addresses)
    expect(addresses.some((each) => each.startsWith('10.0.'))).toBe(true)
  })

  test('with a time to live moves on after it', async () => {
    const pool = await started(['10.0.0.0/16'])
    const short = { session: session({ ttlSeconds: 60 }) }
    const before = next(pool, short)
    await pass(60_000)
    expect(next(pool, short)).not.toBe(before)
  })
})
