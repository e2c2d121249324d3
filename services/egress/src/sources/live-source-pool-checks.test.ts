import { describe, expect, test } from '@jest/globals'
import {
  a,
  b,
  c,
  three,
  missed,
  gone,
  verdicts,
  usePools,
  started,
  nextRound,
  told,
  taken,
} from '../../test/live-pool.ts'

usePools()

describe('checks', () => {
  test('take an address out after two failures in a row, while others reach their target, and bring it back', async () => {
    const pool = await started(three)
    verdicts.set(b, missed)
    await nextRound()
    expect(told()).toEqual([])
    await nextRound()
    expect(told()).toEqual([`${b} out: check_failed (ETIMEDOUT)`])
    expect(new Set(taken(pool, 10))).toEqual(new Set([a, c]))
    verdicts.delete(b)
    await nextRound()
    expect(told()).toEqual([`${b} back`])
    expect(new Set(taken(pool, 10))).toEqual(new Set(three))
  })

  test('take nobody out when their target cannot be reached from any address', async () => {
    const pool = await started(three)
    for (const address of three) verdicts.set(address, missed)
    for (let round = 0; round < 5; round += 1) await nextRound()
    expect(told()).toEqual(['IPv4 lost: ETIMEDOUT'])
    expect(taken(pool, 3)).toHaveLength(3)
    verdicts.delete(a)
    await nextRound()
    expect(told()).toEqual(['IPv4 back'])
  })

  test('nor all addresses of a family by which it cannot be reached', async () => {
    await started([...three, '2001:db8::1', '2001:db8::2'])
    verdicts.set('2001:db8::1', missed).set('2001:db8::2', missed)
    for (let round = 0; round < 5; round += 1) await nextRound()
    expect(told()).toEqual(['IPv6 lost: ETIMEDOUT'])
  })

  test('take an address out at once when it is not this machine’s, with its whole prefix, and all of them', async () => {
    const pool = await started(['192.0.2.8/30', c])
    verdicts.set('192.0.2.9', gone)
    await nextRound()
    expect(told()).toEqual(['192.0.2.9 out: not_ours'])
    expect(pool.snapshot()).toEqual([
      { listedAs: '192.0.2.8/30', isUp: true },
      { listedAs: c, isUp: true },
    ])
    verdicts.set('192.0.2.10', gone).set(c, gone)
    await nextRound()
    expect(pool.snapshot().map(({ isUp }) => isUp)).toEqual([false, false])
  })

  test('bring an address that can be bound again back, even when nobody reaches their target', async () => {
    await started(three)
    verdicts.set(a, gone)
    await nextRound()
    for (const address of three) verdicts.set(address, missed)
    await nextRound()
    expect(told()).toEqual([`${a} out: not_ours`, `${a} back`, 'IPv4 lost: ETIMEDOUT'])
  })

  test('that lack what they need say nothing', async () => {
    await started(three)
    verdicts.set(a, { kind: 'unknown' })
    for (let round = 0; round < 5; round += 1) await nextRound()
    expect(told()).toEqual([])
  })

  test('do not wait for one that hangs to bring others back', async () => {
    await started(three)
    verdicts.set(a, gone)
    await nextRound()
    verdicts.delete(a)
    verdicts.set(b, new Promise(() => {}))
    await nextRound()
    expect(told()).toEqual([`${a} out: not_ours`, `${a} back`])
  })

  test('are not made of what the system chooses', async () => {
    await started([])
    verdicts.set('', gone)
    await nextRound()
    expect(told()).toEqual([])
  })

  test('tell nothing after the end', async () => {
    const pool = await started(three)
    verdicts.set(a, gone)
    pool.close()
    await nextRound()
    expect(told()).toEqual([])
  })
})
