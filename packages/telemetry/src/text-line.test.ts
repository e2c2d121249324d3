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

test('a line that is no JSON is passed on in one printable line', () => {
  expect(textLine('half a \u001b line\n', true)).toBe('half a \\u001b line\n')
})

test('colour stands around the level only', () => {
  expect(levelTag('warn', true)).toBe('\u001b[33mWARN \u001b[39m')
  expect(levelTag('warn', false)).toBe('WARN ')
})
