import { expect, test } from '@jest/globals'
import { UpstreamFault, type UpstreamFaultKind } from '@ipfleet/proxy/http1/upstream-fault.ts'
import { blamesBackend, errorOf, mayRetry } from './retry-rules.ts'

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
  ['OPTIONS', false, false],
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
