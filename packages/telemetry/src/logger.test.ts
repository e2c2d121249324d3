import { hostname } from 'node:os'
import { withRequest } from '@ipfleet/http-server/request-id.ts'
import { version } from '@ipfleet/settings/version.ts'
import { expect, test } from '@jest/globals'
import { logFlatLine } from './flat-line.ts'
import { createLogger } from './logger.ts'
import type { LoggerOptions } from './logger.ts'

const canary = 'canary-4f9c2a71d0'

function captured(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = []
  const destination = { write: (line: string) => lines.push(line) }
  return { lines, logger: createLogger({ level: 'info', format: 'json', secrets: [canary], destination, ...options }) }
}

test('a JSON line begins with the level as a word and the time as ISO 8601', () => {
  const { lines, logger } = captured()
  logger.info({ port: 8080 }, 'listening')
  expect(lines).toEqual([
    expect.stringMatching(
      /^\{"level":"info","time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","port":8080,"msg":"listening"\}\n$/,
    ),
  ])
})

test('a JSON line says which program wrote it, where', () => {
  const { lines, logger } = captured({ service: 'edge' })
  logger.info({ port: 8080 }, 'listening')
  logFlatLine(logger, 'info', 'listening', { port: 8080 })
  for (const line of lines) {
    expect(line).toMatch(
      /^\{"level":"info","time":"[^"]+","service":"edge","version":"[\d.]+","hostname":"[^"]+","port"/,
    )
    expect(JSON.parse(line)).toMatchObject({ service: 'edge', version, hostname: hostname() })
  }
})

test('a line that is written for a request has its id and its trace', () => {
  const { lines, logger } = captured()
  const trace = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', flags: 1 }
  withRequest({ id: 'req-1', trace }, () => logger.child({ part: 'keys' }).warn({ key: 'k1' }, 'key benched'))
  withRequest({ id: 'req-1' }, () => logger.warn({ id: 'own' }, 'told'))
  logger.warn('later')
  const told = lines.map((line) => JSON.parse(line)).map(({ id, trace_id }) => [id, trace_id])
  expect(told).toEqual([
    ['req-1', trace.traceId],
    ['own', undefined],
    [undefined, undefined],
  ])
})

test('a JSON line is one line whatever stands in it', () => {
  const { lines, logger } = captured()
  logger.info({ text: 'a\u2028b\u0085c\u007f\r\n\u202e' }, 'd\u2029e …')
  expect(lines[0]).toMatch(/^[\x20-\x7e…]+\n$/)
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ text: 'a\u2028b\u0085c\u007f\r\n\u202e', msg: 'd\u2029e …' })
})

test('text has the same content in one readable line', () => {
  const { lines, logger } = captured({ format: 'text' })
  logger.warn({ port: 8080 }, 'listening')
  expect(lines).toEqual([expect.stringMatching(/^\S+Z WARN  listening port=8080\n$/)])
})

test.each(['json', 'text'] as const)('a secret never leaves in %s, wherever it stands', (format) => {
  const { lines, logger } = captured({ format })
  const cause = new Error(`GET https://user:${canary}@host/?token=${canary}`)
  const error = Object.assign(new Error('failed', { cause }), {
    options: { headers: { Authorization: `Bearer ${canary}` } },
  })
  logger.info({ a: { b: { c: { d: canary } } }, [canary]: 1 }, `message ${canary}`)
  logger.error(error, 'an error')
  logger.child({ key: canary }).info('%s', canary)
  logger.info({ basic: Buffer.from(`${canary}:`).toString('base64') })
  expect(lines).toHaveLength(4)
  expect(lines.join('')).not.toContain(canary)
  expect(lines.join('')).not.toContain(Buffer.from(canary).toString('base64').slice(0, -4))
  expect(lines.join('').match(/\[redacted\]/g)?.length).toBeGreaterThan(6)
})

test('a secret that becomes known later is scrubbed from children made before', () => {
  const { lines, logger } = captured()
  const child = logger.child({ part: 'upstream' })
  logger.sink.addSecrets(['rotated-secret'])
  child.info('now rotated-secret')
  expect(lines[0]).toContain('"msg":"now [redacted]"')
})

test('lines under the level are not written', () => {
  const { lines, logger } = captured({ level: 'error' })
  logger.warn('quiet')
  expect(lines).toEqual([])
})
