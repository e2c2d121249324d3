import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { emptyRedis, observeRedis, type RedisObserver } from '../src/redis-observer.ts'
import { RespClient } from '../src/resp-client.ts'
import { startTestRedis, type TestRedis } from '../src/test-redis.ts'

let redis: TestRedis
let observer: RedisObserver
let client: RespClient
beforeAll(async () => {
  redis = await startTestRedis()
  observer = await observeRedis(redis.url)
  client = await RespClient.connect(redis.url)
})
afterAll(async () => {
  client.close()
  await observer[Symbol.asyncDispose]()
  await redis.stop()
})
beforeEach(async () => {
  await emptyRedis(redis.url)
  await observer.caughtUp()
  observer.clear()
})

test('shows what others tell the server, and what their scripts do', async () => {
  await client.call('SET', 'key', 'a "b"\r\n\x00')
  await client.call('EVAL', "return redis.call('GET', KEYS[1])", '1', 'key')
  await observer.caughtUp()
  expect(observer.commands().map(({ name, args, inner }) => [name, args.at(-1), inner])).toEqual([
    ['set', 'a "b"\r\n\x00', false],
    ['eval', 'key', false],
    ['get', 'key', true],
  ])
})

test('dumps every kind of value', async () => {
  for (const command of [
    ['SET', 'text', 'ünï'],
    ['HSET', 'hash', 'field', 'in a hash'],
    ['RPUSH', 'list', 'in a list'],
    ['SADD', 'set', 'in a set'],
    ['ZADD', 'zset', '1', 'in a zset'],
    ['XADD', 'stream', '*', 'field', 'in a stream'],
  ]) {
    await client.call(...command)
  }
  const lines = (await observer.dump()).split('\n')
  expect(lines.map((line) => line.split(' = ')[0] ?? '').toSorted()).toEqual([
    'hash',
    'list',
    'set',
    'stream',
    'text',
    'zset',
  ])
  expect(lines).toContain('text = "ünï"')
  for (const kind of ['hash', 'list', 'set', 'zset', 'stream']) {
    expect(lines.find((line) => line.startsWith(`${kind} = `))).toContain(`in a ${kind}`)
  }
})

test('replies are read whatever their kind, size and number', async () => {
  const big = 'x'.repeat(3_000_000)
  const replies = await Promise.all([
    client.call('SET', 'big', big),
    client.call('GET', 'big'),
    client.call('GET', 'none'),
    client.call('INCR', 'count'),
    client.call('MGET', 'count', 'none'),
    client.call('KEYS', 'no-such-*'),
  ])
  expect(replies).toEqual(['OK', big, null, 1, ['1', null], []])
  await expect(client.call('INCR', 'big')).rejects.toThrow(/^ERR value is not an integer/)
})

test('the end of the connection rejects what waits, and what comes', async () => {
  const lost = await RespClient.connect(redis.url)
  const waiting = lost.call('BLPOP', 'nothing', '0')
  lost.close()
  await expect(waiting).rejects.toThrow('has ended')
  await expect(lost.call('PING')).rejects.toThrow('has ended')
})
