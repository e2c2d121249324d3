import { describe, expect, test } from '@jest/globals'
import { InFlightCalls } from './in-flight.ts'

describe('calls that are under way in a process', () => {
  test('are joined by those who come while they run, and by no other', async () => {
    const calls = new InFlightCalls<string>()
    calls.begin('a', { result: async (subject) => `of ${subject}` })
    expect(calls.size).toBe(1)
    expect(await calls.running('a')).toBe('of a')
    expect(calls.running('b')).toBeUndefined()
    calls.end('a')
    expect(calls.size).toBe(0)
    expect(calls.running('a')).toBeUndefined()
  })
})
