import { expect, test } from '@jest/globals'
import { createLogger } from '@ipfleet/telemetry/logger.ts'
import { createMetrics } from '@ipfleet/telemetry/metrics.ts'
import { noTracer } from '@ipfleet/telemetry/tracing/tracer.ts'
import { type Refusal, refusal } from './proxy-status.ts'
import { RequestContext, RequestRecord } from './request-record.ts'

/** The line that a request leaves. */
function logged(status: number, reason?: Refusal, path = '/'): Record<string, unknown> {
  const lines: string[] = []
  const destination = { write: (text: string) => lines.push(text) }
  const logger = createLogger({ level: 'info', format: 'json', secrets: [], destination })
  const record = new RequestRecord(createMetrics({ defaultMetrics: false }), logger)
  const context = new RequestContext({ method: 'GET', rawHeaders: [] }, '192.0.2.1', { record, tracer: noTracer })
  context.path = path
  context.end(status, reason)
  return JSON.parse(lines.join('')) as Record<string, unknown>
}

test.each([429, 503])(
  '%i from an origin is no warning, and not taken for one of the limits of this proxy',
  (status) => {
    expect(logged(status)).toMatchObject({ level: 'info', msg: 'request', status })
  },
)

test('what the limits of this proxy refuse is a warning', () => {
  expect(logged(429, refusal('rate_limited', 'http_request_denied'))).toMatchObject({
    level: 'warn',
    msg: 'rate limited',
  })
  expect(logged(503, refusal('no_source', 'connection_limit_reached'))).toMatchObject({ level: 'warn', msg: 'request' })
})

test('a path is cut at its query, and after a kilobyte', () => {
  expect(logged(200, undefined, '/a?token=b')).toMatchObject({ path: '/a' })
  expect(logged(200, undefined, `/${'x'.repeat(10_000)}`)['path']).toHaveLength(1024 + '...'.length)
})
