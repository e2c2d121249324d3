import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import { withinDeadline } from './deadline.ts'
import { RedisUnavailable } from './redis-unavailable.ts'

const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

/** Two ends of one loopback connection: what is written to one has reached the other's kernel when `write` returns. */
async function socketPair(): Promise<{ near: Socket; far: Socket }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [far] = (await once(server, 'connection')) as [Socket]
  if (near.readyState !== 'open') await once(near, 'connect')
  cleanups.push(
    () => server.close(),
    () => near.destroy(),
    () => far.destroy(),
  )
  return { near, far }
}

function stallProcess(durationMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs)
}

describe('a promise with a deadline', () => {
  test('brings its own result when that comes in time', async () => {
    expect(await withinDeadline(Promise.resolve('answer'), 10_000)).toBe('answer')
  })

  test('brings its own failure when that comes in time', async () => {
    const failure = new Error('refused')
    await expect(withinDeadline(Promise.reject(failure), 10_000)).rejects.toBe(failure)
  })

  test('is a timeout when nothing comes', async () => {
    const outcome = withinDeadline(new Promise(() => {}), 10)
    await expect(outcome).rejects.toBeInstanceOf(RedisUnavailable)
    await expect(outcome).rejects.toMatchObject({ reason: 'timeout' })
  })

  test('a failure that comes after the deadline is nobody’s unhandled rejection', async () => {
    const unhandled: unknown[] = []
    const note = (reason: unknown): void => void unhandled.push(reason)
    process.on('unhandledRejection', note)
    cleanups.push(() => process.off('unhandledRejection', note))
    const late = Promise.withResolvers<never>()
    await expect(withinDeadline(late.promise, 1)).rejects.toMatchObject({ reason: 'timeout' })
    late.reject(new Error('late'))
    await new Promise((resolve) => setImmediate(resolve))
    expect(unhandled).toEqual([])
  })

  test('a reply that had arrived while this process was stalled is not a timeout', async () => {
    const { near, far } = await socketPair()
    const reply = once(near, 'data').then(([bytes]: unknown[]) => String(bytes))
    const outcome = withinDeadline(reply, 20)
    far.write('answer')
    stallProcess(100)
    expect(await outcome).toBe('answer')
  })
})
