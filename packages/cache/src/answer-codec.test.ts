import { describe, expect, test } from '@jest/globals'
import { decodeAnswer, encodeAnswer } from './answer-codec.ts'

const json = 'application/json; charset=utf-8'

describe('an answer as bytes', () => {
  test.each([
    ['text', Buffer.from('{"ip": "8.8.8.8"}\n')],
    ['nothing', Buffer.alloc(0)],
    ['line ends only', Buffer.from('\n\n\n')],
    ['any bytes', Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))],
  ])('brings its body back verbatim: %s', (_what, body) => {
    const answer = { status: 404, contentType: json, body }
    expect(decodeAnswer(encodeAnswer(answer, { storedAt: 5, kept: true }))).toEqual({
      answer,
      about: { v: 1, storedAt: 5, kept: true },
    })
  })

  test.each([
    ['nothing', ''],
    ['no line', '{"v":1,"status":200,"type":"text/plain"}'],
    ['no JSON', 'hello\nbody'],
    ['JSON that is no object', 'null\nbody'],
    ['another version', '{"v":2,"status":200,"type":"text/plain"}\nbody'],
    ['no status', '{"v":1,"type":"text/plain"}\nbody'],
    ['a status that is no number', '{"v":1,"status":"200","type":"text/plain"}\nbody'],
    ['no type', '{"v":1,"status":200}\nbody'],
  ])('does not make sense of %s', (_what, bytes) => {
    expect(decodeAnswer(Buffer.from(bytes))).toBeUndefined()
  })
})
