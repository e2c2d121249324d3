import { describe, expect, test } from '@jest/globals'
import { LocalFlight } from './local-flight.ts'

describe('one call at a time per subject in a process', () => {
  test('those who come while it runs get its result, and only the first made it', async () => {
    const flight = new LocalFlight<string>()
    const answer = Promise.withResolvers<string>()
    let calls = 0
    const call = (): Promise<string> => {
      calls += 1
      return answer.promise
    }
    const all = Promise.all([flight.run('a', call), flight.run('a', call), flight.run('a', call)])
    expect(flight.size).toBe(1)
    answer.resolve('once')
    expect(await all).toEqual([
      { result: 'once', joined: false },
      { result: 'once', joined: true },
      { result: 'once', joined: true },
    ])
    expect(calls).toBe(1)
  })

  test('they get its failure too', async () => {
    const flight = new LocalFlight<string>()
    const failure = new Error('failed')
    const answer = Promise.withResolvers<string>()
    const first = flight.run('a', () => answer.promise)
    const second = flight.run('a', async () => 'not called')
    answer.reject(failure)
    expect(await Promise.allSettled([first, second])).toEqual([
      { status: 'rejected', reason: failure },
      { status: 'rejected', reason: failure },
    ])
  })

  test.each(['success', 'failure'])('who comes after a %s calls anew', async (kind) => {
    const flight = new LocalFlight<string>()
    const call = async (): Promise<string> => {
      if (kind === 'failure') throw new Error('failed')
      return 'first'
    }
    await flight.run('a', call).catch(() => {})
    expect(flight.size).toBe(0)
    expect(await flight.run('a', async () => 'second')).toEqual({ result: 'second', joined: false })
  })

  test('subjects do not wait for each other', async () => {
    const flight = new LocalFlight<string>()
    const never = flight.run('a', () => new Promise(() => {}))
    expect(await flight.run('b', async () => 'b')).toEqual({ result: 'b', joined: false })
    expect(flight.size).toBe(1)
    void never
  })

  test('a call that throws at once is a failure like any other', async () => {
    const flight = new LocalFlight<string>()
    const failing = flight.run('a', () => {
      throw new Error('at once')
    })
    await expect(failing).rejects.toThrow('at once')
    expect(flight.size).toBe(0)
  })
})
