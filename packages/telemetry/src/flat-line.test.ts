import { expect, test } from '@jest/globals'
import { logFlatLine } from './flat-line.ts'
import { createLogger, type LoggerOptions } from './logger.ts'

const canary = 'canary-4f9c2a71d0'

/** A log and the lines in it, without their time. */
function captured(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = []
  const destination = { write: (line: string) => lines.push(line.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/, 'TIME')) }
  const logger = createLogger({ level: 'info', format: 'json', secrets: [canary], destination, ...options })
  return { logger, lines }
}

const fields = {
  method: 'CONNECT',
  target: '[2001:db8::1]:443',
  path: undefined,
  status: 200,
  latency_us: 417,
  user: `anna "the\u202e\n cat" ${canary}`,
}

test.each(['info', 'warn'] as const)('a line of level %s is the same as pino would write', (level) => {
  for (const format of ['json', 'text'] as const) {
    const { logger, lines } = captured({ format })
    logger[level](fields, 'request')
    logFlatLine(logger, level, 'request', fields)
    expect(format === 'json' ? JSON.parse(lines[1] ?? '') : lines[1]).toEqual(
      format === 'json' ? JSON.parse(lines[0] ?? '') : lines[0],
    )
    expect(lines[1]).not.toContain(canary)
    expect(lines[1]).toMatch(/^[ -~]+\n$/)
  }
})

test('a level that is not logged writes nothing', () => {
  const { logger, lines } = captured({ level: 'warn' })
  logFlatLine(logger, 'info', 'request', fields)
  expect(lines).toEqual([])
  logFlatLine(logger, 'warn', 'request', fields)
  expect(lines).toHaveLength(1)
})
