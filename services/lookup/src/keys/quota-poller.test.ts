import { apiKey } from '@ipfleet/key-pool/api-key.ts'
import { KeyPool } from '@ipfleet/key-pool/key-pool.ts'
import type { KeyState } from '@ipfleet/key-pool/key-store.ts'
import { LocalKeyStore } from '@ipfleet/key-pool/local-key-store.ts'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import type { Reply } from '@ipfleet/upstream/reply.ts'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { LocalQuotaClaims, type QuotaClaims } from './quota-claims.ts'
import { QuotaPoller } from './quota-poller.ts'

const [a, b] = [apiKey('secret-a'), apiKey('secret-b')]
const everyMs = 300_000
const settleMs = 5000
const epochMs = Date.UTC(2026, 4, 20)
const monthLeftMs = Date.UTC(2026, 5, 1) - epochMs
const none: ReadonlySet<string> = new Set()

let pool: KeyPool
let asked: string[]
let answer: (id: string) => Reply
const pollers: QuotaPoller[] = []

beforeEach(() => {
  // The store's clock stands still: it is only asked what was counted.
  const store = new LocalKeyStore(manualClock(1000), { trialMs: 60_000 })
  pool = new KeyPool([a, b], store, { cooldownMs: 10_000, quarantineMs: 100_000 })
  asked = []
  jest.useFakeTimers({ doNotFake: ['performance'] })
})

afterEach(() => {
  for (const made of pollers.splice(0)) made.close()
  jest.useRealTimers()
  jest.restoreAllMocks()
})

function poller(claims: QuotaClaims = new LocalQuotaClaims({ nowMs: () => Date.now() })): QuotaPoller {
  const made = new QuotaPoller({
    pool,
    ask: async ({ id }) => {
      asked.push(id)
      return answer(id)
    },
    claims,
    everyMs,
    settleMs,
    epochMs: () => epochMs,
  })
  pollers.push(made)
  return made
}

function account(remaining: number, limit = 100): Reply {
  return json({ requests: { month: limit - remaining, limit, remaining } })
}

function json(value: unknown, status = 200): Reply {
  const body = Buffer.from(JSON.stringify(value))
  return { kind: 'answered', answer: { status, contentType: 'application/json', body } }
}

/** Starts it and lets its first round end. */
async function started(made = poller()): Promise<void> {
  void made.start()
  await jest.advanceTimersByTimeAsync(0)
}

async function lefts(): Promise<(number | undefined)[]> {
  return (await pool.quotas()).map((quota) => quota.account?.remaining)
}

async function stateOf(id: string): Promise<KeyState | undefined> {
  return (await pool.read()).find((state) => state.id === id)
}

describe('the quotas of keys', () => {
  test('are asked for at the start, and again every QUOTA_POLL_SECONDS or a little sooner', async () => {
    answer = (id) => account(id === a.id ? 70 : 30)
    await started()
    expect([asked, await lefts()]).toEqual([
      [a.id, b.id],
      [70, 30],
    ])
    answer = () => account(20)
    await jest.advanceTimersByTimeAsync(everyMs * 0.79)
    expect(asked).toHaveLength(2)
    await jest.advanceTimersByTimeAsync(everyMs * 0.21 + settleMs)
    expect([asked, await lefts()]).toEqual([
      [a.id, b.id, a.id, b.id],
      [20, 20],
    ])
  })

  test('are asked for by one of several replicas', async () => {
    answer = () => account(50)
    const claims = new LocalQuotaClaims({ nowMs: () => Date.now() })
    await Promise.all([started(poller(claims)), started(poller(claims)), started(poller(claims))])
    expect(asked.toSorted()).toEqual([a.id, b.id].toSorted())
  })

  test('count what is on its way while the account answers', async () => {
    answer = () => account(50)
    jest.spyOn(Math, 'random').mockReturnValue(1)
    await started()
    await jest.advanceTimersByTimeAsync(everyMs)
    expect(asked).toHaveLength(2)
    const taken = await Promise.all(Array.from({ length: 8 }, () => pool.take(none, Infinity)))
    expect(taken.every(({ kind }) => kind === 'ticket')).toBe(true)
    // Taken when the round had begun; the account knows of none.
    await jest.advanceTimersByTimeAsync(settleMs)
    expect([asked.length, await lefts()]).toEqual([4, [46, 46]])
  })

  test('are no longer asked for where the account names none', async () => {
    answer = (id) => (id === a.id ? json({ plan: 'lite' }) : account(50))
    await started()
    await jest.advanceTimersByTimeAsync(2 * (everyMs + settleMs))
    expect(asked.filter((id) => id === a.id)).toHaveLength(1)
    expect(asked.filter((id) => id === b.id).length).toBeGreaterThan(1)
  })

  test.each<[string, Reply]>([
    ['fails', { kind: 'failed', code: 'upstream_failed', detail: 'status 500' }],
    [
      'does not know the key',
      { kind: 'denied', scope: 'key', answer: { status: 403, contentType: '', body: Buffer.alloc(0) } },
    ],
    ['calls the token invalid', json({ error: 'Invalid API token' }, 400)],
    ['is limited itself', { kind: 'limited', scope: 'product', reason: 'limited', status: 429, retryAfterSeconds: 60 }],
  ])('an account that %s benches no key, and is asked again', async (_, reply) => {
    answer = () => reply
    await started()
    expect((await pool.read()).map(({ state }) => state)).toEqual(['active', 'active'])
    await jest.advanceTimersByTimeAsync(everyMs + settleMs)
    expect(asked).toHaveLength(4)
  })

  test('of a key that came later are asked for at once', async () => {
    answer = () => account(50)
    await started()
    const late = apiKey('secret-late')
    pool.replace([a, b, late])
    await jest.advanceTimersByTimeAsync(0)
    expect(asked).toEqual([a.id, b.id, late.id])
    expect(await lefts()).toEqual([50, 50, 50])
  })

  test('are not asked for once it is closed', async () => {
    answer = () => account(50)
    const made = poller()
    await started(made)
    made.close()
    await jest.advanceTimersByTimeAsync(3 * everyMs)
    expect(asked).toHaveLength(2)
  })
})

/** A query that `a` does not answer, and another that was under way with it. */
async function meet429(): Promise<void> {
  const ticket = await pool.take(new Set([b.id]), Infinity)
  if (ticket.kind !== 'ticket') throw new Error('no ticket')
  await pool.limited(ticket, { scope: 'key', reason: 'limited', retryAfterSeconds: undefined })
  await pool.limited(ticket, { scope: 'key', reason: 'limited', retryAfterSeconds: undefined })
  await jest.advanceTimersByTimeAsync(0)
}

describe('a 429 that does not say for how long', () => {
  test('asks the account once; nothing left rests the key until the month turns', async () => {
    answer = () => account(0)
    poller()
    await meet429()
    expect(asked).toEqual([a.id])
    expect(await stateOf(a.id)).toEqual({ id: a.id, state: 'cooling', reason: 'exhausted', remainingMs: monthLeftMs })
  })

  test('rests a key that has something left for the cooldown only', async () => {
    answer = () => account(50)
    poller()
    await meet429()
    expect(await stateOf(a.id)).toMatchObject({ reason: 'limited', remainingMs: 10_000 })
  })

  test('rests a key whose account gives no answer for the cooldown only', async () => {
    answer = () => ({ kind: 'failed', code: 'upstream_timeout', detail: 'nothing' })
    poller()
    await meet429()
    expect(await stateOf(a.id)).toMatchObject({ reason: 'limited', remainingMs: 10_000 })
  })

  test('an exhausted key is released by the round that finds its quota full again', async () => {
    answer = () => account(50)
    await started()
    answer = () => account(0)
    await meet429()
    expect(await stateOf(a.id)).toMatchObject({ reason: 'exhausted' })
    answer = () => account(100)
    await jest.advanceTimersByTimeAsync(everyMs + settleMs)
    expect([await stateOf(a.id), await lefts()]).toEqual([{ id: a.id, state: 'active' }, [100, 100]])
  })
})
