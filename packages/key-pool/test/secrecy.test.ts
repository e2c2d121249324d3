import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { monotonicClock } from '@ipfleet/core/clock.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { Subscriber } from '@ipfleet/redis/subscriber.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { apiKey } from '../src/api-key.ts'
import { KeyPool } from '../src/key-pool.ts'
import type { Limit, Ticket } from '../src/ticket.ts'
import { LocalKeyStore } from '../src/local-key-store.ts'
import { keysChannel, RedisKeyStore } from '../src/redis-key-store.ts'
import { ResilientKeyStore } from '../src/resilient-key-store.ts'
import { eventually } from './eventually.ts'
import { fleetLink } from './fleet-link.ts'

const canaries = ['canary-one-5f1c', 'canary-two-77aa', 'canary-three-09be']
const keys = canaries.map(apiKey)

let redis: TestRedis
let link: RedisLink
let subscriber: Subscriber

beforeEach(async () => {
  redis = await startTestRedis()
  link = await fleetLink(redis.url, 'replica')
  subscriber = new Subscriber({ url: redis.url })
})

afterEach(async () => {
  subscriber.close()
  link.close()
  await redis.stop()
})

test('the secret of a key is in no command, no message, no key and no value of Redis', async () => {
  const { commands, end } = await watch()
  const messages: string[] = []
  await subscriber.subscribe(keysChannel(link.names), (message) => void messages.push(message))
  await liveThroughEverything()
  const stored = await dump()
  await eventually('all messages', () => messages.some((message) => message.includes('"active"')))
  await eventually('all commands', () => commands.join('').includes(String.raw`hasRecovered\":true`))
  end()
  for (const [index, key] of keys.entries()) {
    const canary = canaries[index] as string
    expect(commands.join('')).not.toContain(canary)
    for (const place of [messages, stored]) expect(place.join('\n')).not.toContain(canary)
    // It was there to be seen: by its id.
    expect(commands.join('')).toContain(key.id)
  }
  expect(messages.join('\n')).toContain(keys[0]?.id)
  expect(stored.join('\n')).toContain(keys[1]?.id)
})

/**
 * Every command that the server runs, those of scripts too. Over a socket of its own: ioredis 6.0.0 ends a connection
 * whose first command to watch comes in one chunk with MONITOR's own reply.
 */
async function watch(): Promise<{ commands: string[]; end: () => void }> {
  const commands: string[] = []
  const socket = connect(redis.port, '127.0.0.1').setEncoding('utf8')
  socket.on('data', (chunk: string) => commands.push(chunk))
  socket.write('MONITOR\r\n')
  await once(socket, 'data')
  return { commands, end: () => socket.destroy() }
}

const limit: Limit = { scope: 'key', reason: 'limited', retryAfterSeconds: undefined }

/** Takes, both kinds of bench, trials with every result, reading. */
async function liveThroughEverything(): Promise<void> {
  const own = new LocalKeyStore(monotonicClock, { trialMs: 60_000 })
  const store = new ResilientKeyStore(new RedisKeyStore(link, { trialMs: 60_000 }), own, link, subscriber)
  const pool = new KeyPool(keys, store, { cooldownMs: 30, quarantineMs: 600_000 })
  const [first, second, third] = keys.map(({ id }) => id)
  const only = (id: string | undefined): Promise<Ticket> =>
    ticket(pool, new Set([first, second, third].filter((other) => other !== id) as string[]))
  await pool.denied(await only(second), 'key', 403)
  await pool.limited(await only(third), { ...limit, retryAfterSeconds: 600 })
  await pool.limited(await only(first), limit)
  await pool.unsettled(await trial(() => only(first)))
  await pool.answered(await trial(() => only(first)))
  await pool.read()
  await pool.noteAccount(keys[0]?.id as string, { remaining: 9, limit: 10, used: 1, resetMs: 60_000 }, 0)
  pool.noteQuota(await only(first), { remaining: 8, limit: 10 })
  await pool.rest(keys[2]?.id as string, 1000)
  await pool.release(keys[2]?.id as string)
  await pool.quotas()
}

async function ticket(pool: KeyPool, tried: ReadonlySet<string>): Promise<Ticket> {
  return eventually('a ticket', async () => {
    const taken = await pool.take(tried, performance.now() + 5000)
    return taken.kind === 'ticket' ? taken : undefined
  })
}

async function trial(take: () => Promise<Ticket>): Promise<Ticket> {
  const taken = await take()
  expect(taken.trial).toBe(true)
  return taken
}

/** Keys and values, of whatever type. */
async function dump(): Promise<string[]> {
  const names: string[] = []
  let cursor = '0'
  do {
    const [next, found] = await link.run((client) => client.scan(cursor))
    names.push(...found)
    cursor = next
  } while (cursor !== '0')
  const values = await Promise.all(names.map((name) => link.run((client) => client.dumpBuffer(name))))
  const fields = await Promise.all(names.filter(isHash).map((name) => link.run((client) => client.hgetall(name))))
  return [...names, ...values.map((value) => value.toString('latin1')), ...fields.map((each) => JSON.stringify(each))]
}

function isHash(name: string): boolean {
  return /:(benches|cursor|quotas)$/.test(name)
}
