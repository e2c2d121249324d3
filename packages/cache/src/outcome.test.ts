import { describe, expect, test } from '@jest/globals'
import { outcomeCodec, type SharedOutcome } from './outcome.ts'

const answerOf = (body: Buffer, freshForMs = 5000): SharedOutcome => ({
  kind: 'answer',
  answer: { status: 200, contentType: 'application/json', body },
  freshForMs,
})
const failure: SharedOutcome = { kind: 'failure', code: 'keys_exhausted', retryAfterSeconds: 30 }
const mebibyte = 1024 * 1024

describe('an outcome on its way to other replicas', () => {
  test.each([
    ['an answer', answerOf(Buffer.from([0, 10, 255]))],
    ['an answer that is not kept', answerOf(Buffer.from('x'), 0)],
    ['an answer of just 1 MiB', answerOf(Buffer.alloc(mebibyte))],
    ['a failure', failure],
    ['that it was not shared', { kind: 'unshared' } as const],
  ])('%s arrives as it was', (_what, outcome) => {
    expect(outcomeCodec.decode(outcomeCodec.encode(outcome))).toEqual(outcome)
  })

  test('over 1 MiB it arrives as `unshared`, in few bytes', () => {
    const bytes = outcomeCodec.encode(answerOf(Buffer.alloc(mebibyte + 1)))
    expect(outcomeCodec.decode(bytes)).toEqual({ kind: 'unshared' })
    expect(bytes.length).toBeLessThan(100)
  })

  test('what concerns only the replica that loaded stays there', () => {
    const origin = { keyId: 'secret-hash', upstreamStatus: 429 }
    for (const outcome of [
      { ...failure, detail: 'secret-detail', origin },
      { ...answerOf(Buffer.from('x')), origin },
    ]) {
      expect(outcomeCodec.encode(outcome).toString()).not.toMatch(/secret|429/)
    }
  })

  test('a failure that is due to a reserve concerns only the load that was to leave it', () => {
    expect(outcomeCodec.concernsOthers({ kind: 'failure', code: 'keys_exhausted', sparesReserve: true })).toBe(false)
    for (const outcome of [failure, answerOf(Buffer.from('x')), { kind: 'unshared' } as const]) {
      expect(outcomeCodec.concernsOthers(outcome)).toBe(true)
    }
  })

  test.each(['', 'hello', 'null', '{"kind":"answer"}', '{"kind":"rumour"}', '{"v":1,"status":200,"type":"t"}\nbody'])(
    'the bytes %j make no sense',
    (bytes) => {
      expect(outcomeCodec.decode(Buffer.from(bytes))).toBeUndefined()
    },
  )

  test('failures are kept for less long than answers, and neither for long', () => {
    expect(outcomeCodec.keepMs(failure)).toBeLessThan(outcomeCodec.keepMs(answerOf(Buffer.from('x'))))
    expect(outcomeCodec.keepMs(answerOf(Buffer.from('x')))).toBeLessThanOrEqual(2000)
  })

  test('answers that may be kept and failures serve who comes late; the others only who waited', () => {
    expect(outcomeCodec.servesLatecomers(answerOf(Buffer.from('x')))).toBe(true)
    expect(outcomeCodec.servesLatecomers(failure)).toBe(true)
    expect(outcomeCodec.servesLatecomers(answerOf(Buffer.from('x'), 0))).toBe(false)
    expect(outcomeCodec.servesLatecomers({ kind: 'unshared' })).toBe(false)
  })
})

test.each([
  [86_400_000, 2000],
  [1000, 500],
  [0, 2000],
])('an answer that is fresh for %d ms is left for waiters for %d ms', (freshForMs, keepMs) => {
  const answer = { status: 200, contentType: 'text/plain', body: Buffer.from('x') }
  expect(outcomeCodec.keepMs({ kind: 'answer', answer, freshForMs })).toBe(keepMs)
})
