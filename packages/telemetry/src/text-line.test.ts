import { expect, test } from '@jest/globals'
import { levelTag, textLine } from './text-line.ts'

const start = { level: 'info', time: '2026-05-02T15:43:50.358Z' }

test('a line reads time, level, message, fields', () => {
  const json = JSON.stringify({ ...start, port: 8080, host: '0.0.0.0', redis: { state: 'up' }, msg: 'listening' })
  expect(textLine(json, false)).toBe(
    '2026-05-02T15:43:50.358Z INFO  listening port=8080 host=0.0.0.0 redis={"state":"up"}\n',
  )
})

test('an error shows its message and fields in the line and its stack below', () => {
  const err = { type: 'Error', message: 'no route', stack: 'Error: no route\n    at a.ts:1:1', code: 'EHOSTUNREACH' }
  expect(textLine(JSON.stringify({ ...start, err, msg: 'failed' }), false)).toBe(
    '2026-05-02T15:43:50.358Z INFO  failed err="no route" err.code=EHOSTUNREACH\n' +
      '    Error: no route\n        at a.ts:1:1\n',
  )
})

test('nothing that was sent can forge a line or reach the terminal', () => {
  const evil = 'x\n2026 INFO  forged \u001b[2J\u009b31m\u202e\u007f'
  const line = textLine(JSON.stringify({ ...start, evil, [`k${evil}`]: 1, msg: evil }), false)
  expect(line).toMatch(/^[\x20-\x7e]+\n$/)
})

test('what can be read stays readable, and only what could be misread is escaped', () => {
  const msg = 'weight=… für 東京 \u{1f600} \u{e0041}\u2028\ufeff'
  expect(textLine(JSON.stringify({ ...start, msg, given: 'weight=…' }), false)).toBe(
    '2026-05-02T15:43:50.358Z INFO  weight=… für 東京 \u{1f600} \\udb40\\udc41\\u2028\\ufeff given="weight=…"\n',
  )
})

test.each([
  [7, '0.007ms'],
  [999, '0.999ms'],
  [1000, '1.00ms'],
  [10_166, '10.2ms'],
  [99_960, '100ms'],
  [123_456, '123ms'],
  [30_000_000, '30000ms'],
])('%d microseconds are %s', (latency_us, text) => {
  expect(textLine(JSON.stringify({ ...start, latency_us, msg: 'request' }), false)).toContain(`request latency=${text}`)
})

test('a line that is no JSON is passed on in one printable line', () => {
  expect(textLine('half a \u001b line\n', true)).toBe('half a \\u001b line\n')
})

test('colour stands around the level only', () => {
  expect(levelTag('warn', true)).toBe('\u001b[33mWARN \u001b[39m')
  expect(levelTag('warn', false)).toBe('WARN ')
})
