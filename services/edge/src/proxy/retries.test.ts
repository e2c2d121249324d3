import { expect, test } from '@jest/globals'
import { UpstreamFault, type UpstreamFaultKind } from '@ipfleet/proxy/http1/upstream-fault.ts'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { blamesBackend, errorOf, mayRetry, RetryBudget } from './retries.ts'

const fault = (kind: UpstreamFaultKind): UpstreamFault => new UpstreamFault(kind, `it was ${kind}`, new Error('why'))
const sent: readonly UpstreamFaultKind[] = ['silent', 'cut', 'stalled', 'garbled']

test.each<UpstreamFaultKind>(['unreachable', 'busy'])('%s: nothing was sent, so anything may be sent again', (kind) => {
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'REPORT']) {
    expect([mayRetry(fault(kind), method, false), mayRetry(fault(kind), method, true)]).toEqual([true, true])
  }
})

test.each([
  ['GET', false, true],
  ['HEAD', false, true],
  ['GET', true, false],
  ['POST', false, false],
  ['POST', true, false],
  ['PUT', false, false],
  ['DELETE', false, false],
  ['OPTIONS', false, true],
  ['OPTIONS', true, false],
  ['get', false, false],
])('a connection that died before any answer: %s, with a body %p, may be sent again: %p', (method, hasBody, may) => {
  expect(mayRetry(fault('lost'), method, hasBody)).toBe(may)
})

test.each(sent)('%s: whoever had the request may have acted on it, so it is not sent again', (kind) => {
  expect(mayRetry(fault(kind), 'GET', false)).toBe(false)
})

test('a pool without a free connection says nothing about its backend, everything else does', () => {
  expect(blamesBackend(fault('busy'))).toBe(false)
  for (const kind of [...sent, 'lost', 'unreachable'] as const) expect(blamesBackend(fault(kind))).toBe(true)
})

test.each<[UpstreamFaultKind, number]>([
  ['unreachable', 502],
  ['lost', 502],
  ['cut', 502],
  ['garbled', 502],
  ['busy', 503],
  ['silent', 504],
  ['stalled', 504],
])('%s is told as %i, and no more than that', (kind, status) => {
  const error = errorOf(fault(kind))
  expect([error.status, error.detail, (error.cause as Error).message]).toEqual([status, `it was ${kind}`, 'why'])
  expect(error.body()).not.toContain('it was')
  expect(error.body()).not.toContain('why')
  expect(error.retryAfterSeconds).toBe(status === 503 ? 1 : undefined)
})

function budget(budgetPercent: number, minPerSecond: number) {
  const clock = manualClock(123_400)
  const retries = new RetryBudget({ budgetPercent, minPerSecond }, clock)
  const requests = (count: number): void => {
    for (let at = 0; at < count; at += 1) retries.request()
  }
  const taken = (wanted: number): number => Array.from({ length: wanted }, () => retries.take()).filter(Boolean).length
  return { clock, retries, requests, taken }
}

test('retries are at most that share of the requests', () => {
  const { requests, taken } = budget(20, 0)
  expect(taken(5)).toBe(0)
  requests(100)
  expect(taken(50)).toBe(20)
  requests(10)
  expect(taken(50)).toBe(2)
})

test('a few a second are allowed whatever the traffic', () => {
  const { clock, taken } = budget(20, 3)
  expect(taken(10)).toBe(3)
  clock.advance(599)
  expect(taken(10)).toBe(0)
  clock.advance(1)
  expect(taken(10)).toBe(3)
})

test('requests and retries count for ten seconds', () => {
  const { clock, requests, taken } = budget(10, 0)
  requests(100)
  clock.advance(1000)
  expect(taken(4)).toBe(4)
  clock.advance(8000)
  expect(taken(10)).toBe(6)
  clock.advance(1000)
  expect(taken(10)).toBe(0)
  requests(200)
  // The six of a second ago and the four before still count.
  expect(taken(20)).toBe(10)
  clock.advance(3_600_000)
  expect(taken(10)).toBe(0)
})

test('a new share holds from now on', () => {
  const { retries, requests, taken } = budget(10, 0)
  requests(100)
  expect(taken(99)).toBe(10)
  retries.configure({ budgetPercent: 50, minPerSecond: 0 })
  expect(taken(99)).toBe(40)
})
