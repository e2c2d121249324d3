import { describe, expect, test } from '@jest/globals'
import { nextMonthMs } from '@ipfleet/key-pool/bench-times.ts'
import { accountOf, featuresOfAccount } from './quota-account.ts'

const middleMs = Date.UTC(2026, 0, 31, 12, 0, 0)
const halfDayMs = 43_200_000

function told(body: unknown, status = 200, epochMs = middleMs) {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  return accountOf({ status, contentType: 'application/json', body: bytes }, epochMs)
}

describe('what /me says', () => {
  test('is what the month has left, until the month turns', () => {
    const requests = { day: 3, month: 41, limit: 50_000, remaining: 49_959 }
    const quota = { used: 41, limit: 50_000, remaining: 49_959, resetMs: halfDayMs }
    expect(told({ token: 't', requests })).toEqual({ kind: 'quota', quota })
  })

  test('may be in numbers that are written as text', () => {
    const requests = { month: '41', limit: '100', remaining: '59' }
    expect(told({ requests })).toMatchObject({ kind: 'quota', quota: { used: 41, limit: 100, remaining: 59 } })
  })

  test('is reckoned where only the use is told', () => {
    expect(told({ requests: { month: 41, limit: 100 } })).toMatchObject({ kind: 'quota', quota: { remaining: 59 } })
  })

  test('is nothing left where more was used than there is', () => {
    const over = told({ requests: { month: 140, limit: 100, remaining: -40 } })
    expect(over).toMatchObject({ kind: 'quota', quota: { used: 140, remaining: 0 } })
    expect(told({ requests: { month: 140, limit: 100 } })).toMatchObject({ quota: { remaining: 0 } })
  })

  test('is soon asked again where nothing is left just after the month has turned', () => {
    const requests = { month: 100, limit: 100, remaining: 0 }
    const turnedMs = Date.UTC(2026, 1, 1)
    expect(told({ requests }, 200, turnedMs)).toMatchObject({ quota: { remaining: 0, resetMs: 300_000 } })
    expect(told({ requests }, 200, turnedMs - 1000)).toMatchObject({ quota: { remaining: 0, resetMs: 1000 } })
  })

  test.each([
    ['billed beyond its limit', { month: 69, limit: 50_000, remaining: 2_147_483_578 }, 49_931],
    ['billed, and beyond it', { month: 50_100, limit: 50_000, remaining: 2_147_433_547 }, 0],
  ])('is what is paid for: %s', (_, requests, remaining) => {
    expect(told({ requests })).toMatchObject({ kind: 'quota', quota: { limit: 50_000, remaining } })
  })

  test.each([
    ['an endless limit', { requests: { month: 3, limit: 2_147_483_647, remaining: 2_147_483_644 } }],
    ['a limit of -1', { requests: { month: 3, limit: -1, remaining: -1 } }],
    ['an account without requests', { token: 't', plan: 'lite' }],
    ['no numbers', { requests: { limit: 'unlimited' } }],
    ['no requests', { requests: null }],
  ])('is that there is no limit: %s', (_, body) => {
    expect(told(body)).toEqual({ kind: 'unlimited' })
  })

  test.each([
    ['a token that is not known', { error: 'Invalid API token' }, 400],
    ['no JSON', '<html>', 200],
    ['null', 'null', 200],
    ['not found', {}, 404],
  ])('is not known: %s', (_, body, status) => {
    expect(told(body, status)).toEqual({ kind: 'unknown' })
  })
})

test.each([
  ['the last moment of a month', Date.UTC(2026, 1, 28, 23, 59, 59, 999), Date.UTC(2026, 2, 1)],
  ['the first of a month', Date.UTC(2026, 2, 1), Date.UTC(2026, 3, 1)],
  ['December', Date.UTC(2026, 11, 9), Date.UTC(2027, 0, 1)],
])('after %s comes the first of the next month, UTC', (_, at, next) => {
  expect(nextMonthMs(at)).toBe(next)
})

test('features are products, some with a limit of their own', () => {
  const body = Buffer.from(
    JSON.stringify({ features: { core: { daily: 5, monthly: 100 }, hosted_domains: true, abuse: false } }),
  )
  const features = featuresOfAccount({ status: 200, contentType: 'application/json', body })
  expect(features).toEqual([{ product: 'core', limit: 100 }, { product: 'domains' }])
})
