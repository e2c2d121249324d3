import { once } from 'node:events'
import { createServer, connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { chosenRedisProvider } from '../src/redis-provider-choice.ts'
import { findRedisServer, localRedisProvider } from '../src/redis-provider-local.ts'
import type { RedisProvider } from '../src/redis-provider.ts'
import { isPortFree } from '../src/service-process-port.ts'
import { startTestRedis, type TestRedis } from '../src/test-redis.ts'

/** One inline command over a connection of its own, and the first bytes of the answer. */
async function ask(port: number, command: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' })
  try {
    await once(socket, 'connect')
    return await askOn(socket, command)
  } finally {
    socket.destroy()
  }
}

async function askOn(socket: Socket, command: string): Promise<string> {
  socket.write(`${command}\r\n`)
  const [answer]: unknown[] = await once(socket, 'data')
  return String(answer).trim()
}

async function providersHere(): Promise<RedisProvider[]> {
  const chosen = await chosenRedisProvider()
  const program = findRedisServer()
  const local = program === undefined ? [] : [localRedisProvider(program)]
  return [chosen, ...local.filter(({ description }) => description !== chosen.description)]
}

const providers = await providersHere()

describe.each(providers)('Redis for tests from $description', (provider) => {
  let redis: TestRedis

  beforeEach(async () => {
    redis = await startTestRedis({ provider })
  })

  afterEach(async () => {
    await redis.stop()
  })

  test('answers at its address as soon as it is given', async () => {
    expect(redis.url).toBe(`redis://127.0.0.1:${redis.port}`)
    expect(await ask(redis.port, 'PING')).toBe('+PONG')
    expect(await ask(redis.port, 'DBSIZE')).toBe(':0')
  })

  test('two of them share nothing', async () => {
    const other = await startTestRedis({ provider })
    try {
      await ask(redis.port, 'SET a 1')
      expect(await ask(other.port, 'EXISTS a')).toBe(':0')
    } finally {
      await other.stop()
    }
  })

  test('paused it keeps connections open and answers nothing until it is resumed', async () => {
    const socket = connect({ port: redis.port, host: '127.0.0.1' })
    await once(socket, 'connect')
    await askOn(socket, 'PING')
    await redis.pause()
    const answer = askOn(socket, 'PING')
    expect(await Promise.race([answer, sleep(100, 'silence')])).toBe('silence')
    await redis.resume()
    expect(await answer).toBe('+PONG')
    socket.destroy()
  })

  test('killed it resets its connections and frees the port; restarted it is back there, empty', async () => {
    await ask(redis.port, 'SET a 1')
    const socket = connect({ port: redis.port, host: '127.0.0.1' })
    await once(socket, 'connect')
    await askOn(socket, 'PING')
    socket.on('error', () => undefined)
    const closed = once(socket, 'close')
    await redis.kill()
    await closed
    expect(await isPortFree(redis.port)).toBe(true)
    await redis.restart()
    expect(await ask(redis.port, 'DBSIZE')).toBe(':0')
  })

  test('paused it can be killed, restarted and stopped', async () => {
    await redis.pause()
    await redis.restart()
    expect(await ask(redis.port, 'PING')).toBe('+PONG')
    await redis.pause()
    await redis.stop()
    expect(await isPortFree(redis.port)).toBe(true)
  })

  test('stopping it twice, or after a kill, is fine', async () => {
    await redis.kill()
    await redis.stop()
    await redis.stop()
    expect(await isPortFree(redis.port)).toBe(true)
  })

  test('flags reach the server, and an append-only file survives kill and restart', async () => {
    const kept = await startTestRedis({ provider, args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
    try {
      await ask(kept.port, 'SET a 1')
      await kept.kill()
      await kept.restart()
      expect(await ask(kept.port, 'EXISTS a')).toBe(':1')
    } finally {
      await kept.stop()
    }
  })

  test('a port that is taken is refused by its number', async () => {
    const taker = createServer().listen(0, '127.0.0.1')
    await once(taker, 'listening')
    const address = taker.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    await expect(startTestRedis({ provider, port })).rejects.toThrow(`port ${port} is taken`)
    taker.close()
    await once(taker, 'close')
  })
})
