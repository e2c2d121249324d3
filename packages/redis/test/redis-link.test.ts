import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { type FaultyTcpProxy, startFaultyTcpProxy } from '@ipfleet/testing/faulty-tcp-proxy.ts'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import type { Redis } from 'ioredis'
import { luaCommand } from '../src/lua-command.ts'
import { RedisLink } from '../src/redis-link.ts'
import { RedisUnavailable } from '../src/redis-unavailable.ts'
import { RequestBudget, withBudget } from '../src/request-budget.ts'
import { connectAdmin, makeBusy } from './admin.ts'

const script = luaCommand(new URL('script.lua', import.meta.url))
const cleanups: (() => unknown)[] = []
let redis: TestRedis

beforeEach(async () => {
  redis = await startTestRedis()
  cleanups.push(() => redis.stop())
})

afterEach(async () => {
  jest.restoreAllMocks()
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

/** More than a busy machine takes for an answer. */
const patientMs = 15_000
/** For tests that wait until it is over: shorter than a connection is kept on which nothing comes. */
const deadlineMs = 1000
/** For tests that need several deadlines on one connection. */
const shortDeadlineMs = 100

function openLink(url = redis.url, timeoutMs = patientMs): RedisLink {
  const link = new RedisLink({ url, name: 'test', timeoutMs })
  cleanups.push(() => link.close())
  return link
}

async function upLink(url?: string, timeoutMs?: number): Promise<RedisLink> {
  const link = openLink(url, timeoutMs)
  await once(link, 'up')
  return link
}

async function openAdmin(): Promise<Redis> {
  const admin = await connectAdmin(redis.url)
  cleanups.push(() => admin.disconnect())
  return admin
}

async function openProxy(): Promise<{ proxy: FaultyTcpProxy; url: string }> {
  const proxy = await startFaultyTcpProxy({ targetPort: redis.port })
  cleanups.push(() => proxy.close())
  return { proxy, url: `redis://127.0.0.1:${proxy.port}` }
}

/** What is answered once the server answers in time, which on a busy machine need not be the first time. */
async function answerOf<T>(link: RedisLink, command: (client: Redis) => Promise<T>): Promise<T> {
  const { answer } = await until(() =>
    link.run(command).then(
      (given) => ({ answer: given }),
      () => false as const,
    ),
  )
  return answer
}

/** Why a command got no answer; `none` if it got one. */
async function failureOf(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt
    return 'none'
  } catch (error) {
    return error instanceof RedisUnavailable ? error.reason : `not a RedisUnavailable: ${String(error)}`
  }
}

/** One command after another until they are not even tried. Returns how many reached the connection, and why each failed. */
async function failUntilRefused(link: RedisLink): Promise<{ tried: number; reasons: string[] }> {
  const reasons: string[] = []
  let tried = 0
  for (let left = 20; left > 0; left -= 1) {
    const triedBefore = tried
    const attempt = link.run((client) => {
      tried += 1
      return client.get('k')
    })
    reasons.push(await failureOf(attempt))
    if (tried === triedBefore) break
  }
  return { tried, reasons }
}

describe('a server that answers', () => {
  test('runs commands, and Lua commands for text or for bytes', async () => {
    const link = await upLink()
    const bytes = Buffer.from([0, 255, 10, 13])
    expect(await link.run((client) => client.set('k', 'v'))).toBe('OK')
    expect(await link.lua(script, ['l'], ['text'])).toEqual(['text', 4])
    expect(await link.luaForBytes(script, ['l'], [bytes])).toEqual([bytes, 4])
  })

  test('sends a script’s source once, and then its hash', async () => {
    const [link, admin] = await Promise.all([upLink(), openAdmin()])
    await link.lua(script, ['l'], ['1'])
    await link.lua(script, ['l'], ['2'])
    await link.luaForBytes(script, ['l'], ['3'])
    const stats = await admin.info('commandstats')
    expect(stats).toMatch(/cmdstat_eval:calls=1,/)
    expect(stats).toMatch(/cmdstat_evalsha:calls=3,/)
  })

  test('a refused command is a `reply` with its cause, is not repeated as source, and does not open the breaker', async () => {
    const link = await upLink()
    await link.run((client) => client.set('text', 'v'))
    for (let left = 5; left > 0; left -= 1) {
      const refused = link.run((client) => client.incr('text'))
      await expect(refused).rejects.toMatchObject({ name: 'RedisUnavailable', reason: 'reply' })
      await expect(refused).rejects.toHaveProperty('cause.message', expect.stringMatching(/^ERR value/))
    }
    expect(link.up).toBe(true)
    expect(await link.run((client) => client.get('text'))).toBe('v')
  })

  test('is shown under its name in CLIENT LIST', async () => {
    const [, admin] = await Promise.all([upLink(), openAdmin()])
    expect(await admin.client('LIST')).toContain('name=ipfleet-test')
  })

  test('tells of each command how it went', async () => {
    const link = await upLink()
    const told: [number, string][] = []
    link.on('command', (...command) => told.push(command))
    await link.run((client) => client.set('k', 'v'))
    await failureOf(link.run((client) => client.lpush('k', 'v')))
    const outcomes = told.map(([, outcome]) => outcome)
    expect(outcomes).toContain('ok')
    expect(outcomes.filter((outcome) => outcome === 'failed')).toEqual(['failed'])
    expect(told.every(([durationMs]) => durationMs >= 0 && durationMs < 10_000)).toBe(true)
  })

  test('what a command throws at once is refused as what it rejects with, and takes nothing of the budget', async () => {
    const link = await upLink()
    const budget = new RequestBudget(1000, manualClock())
    const thrown = withBudget(budget, () =>
      link.run(() => {
        throw new TypeError('odd')
      }),
    )
    await expect(thrown).rejects.toBeInstanceOf(RedisUnavailable)
    expect(budget.leftMs).toBe(1000)
  })

  test('a closed link refuses at once', async () => {
    const link = await upLink()
    link.close()
    expect(await failureOf(link.run((client) => client.ping()))).toBe('down')
  })
})

describe('a server that is not there', () => {
  test('is refused at once, and used as soon as it comes', async () => {
    await redis.kill()
    const link = openLink()
    expect(await failureOf(link.run((client) => client.ping()))).toBe('down')
    expect(link.up).toBe(false)
    const up = once(link, 'up')
    await redis.restart()
    await up
    expect(await link.run((client) => client.ping())).toBe('PONG')
  })

  test('killed and restarted it is back, and knows its scripts again', async () => {
    const link = await upLink()
    await link.lua(script, ['l'], ['before'])
    const down = once(link, 'down')
    await redis.kill()
    await down
    expect(await failureOf(link.run((client) => client.ping()))).toBe('down')
    const up = once(link, 'up')
    await redis.restart()
    await up
    expect(await link.lua(script, ['l'], ['after'])).toEqual(['after', 5])
  })

  test('a command in flight when the server dies fails, and is not sent again', async () => {
    const [link, admin] = await Promise.all([upLink(), openAdmin()])
    await admin.call('CLIENT', 'PAUSE', '60000', 'WRITE')
    const inFlight = failureOf(link.run((client) => client.incr('n')))
    await redis.kill()
    expect(await inFlight).toBe('down')
    const up = once(link, 'up')
    await redis.restart()
    await up
    expect(await link.run((client) => client.exists('n'))).toBe(0)
  })
})

describe('a server that hangs', () => {
  test('costs at most two deadlines in a row; then nothing is tried until it answers again', async () => {
    const link = await upLink(redis.url, deadlineMs)
    await redis.pause()
    const { tried, reasons } = await failUntilRefused(link)
    expect(tried).toBeLessThanOrEqual(2)
    expect(['timeout', 'down']).toEqual(expect.arrayContaining(reasons))
    expect(reasons.at(-1)).toBe('down')
    expect(link.up).toBe(false)

    const up = once(link, 'up')
    await redis.resume()
    await up
    expect(await answerOf(link, (client) => client.ping())).toBe('PONG')
  })

  test('probes are made in the background: no request waits for one or serves as one', async () => {
    const link = await upLink(redis.url, shortDeadlineMs)
    await redis.pause()
    await failUntilRefused(link)
    const probes: string[] = []
    let tried = 0
    link.on('command', (_durationMs, outcome) => probes.push(outcome))
    // Probes end with a connection on which nothing has come for too long.
    while (probes.length < 2 && link.client.status === 'ready') {
      const attempt = link.run(async () => (tried += 1))
      expect(await failureOf(attempt)).toBe('down')
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    expect(tried).toBe(0)
  })

  test('many requests at once lose one deadline each, not one after another', async () => {
    const link = await upLink(redis.url, deadlineMs)
    await redis.pause()
    const startedMs = performance.now()
    const reasons = await Promise.all(
      Array.from({ length: 50 }, () => failureOf(link.run((client) => client.get('k')))),
    )
    // One after the other would be fifty.
    expect(performance.now() - startedMs).toBeLessThan(10 * deadlineMs)
    expect(['timeout', 'down']).toEqual(expect.arrayContaining(reasons))
  })

  test('the breaker does not live by the wall clock', async () => {
    const link = await upLink(redis.url, deadlineMs)
    const wallMs = Date.now()
    await redis.pause()
    await failUntilRefused(link)
    jest.spyOn(Date, 'now').mockReturnValue(wallMs - 3_600_000)
    const up = once(link, 'up')
    await redis.resume()
    await up
    expect(await answerOf(link, (client) => client.ping())).toBe('PONG')
  })
})

describe('a link that went half-open', () => {
  test.each(['blackhole', 'half'] as const)('%s: the silent connection is given up for a new one', async (mode) => {
    const { proxy, url } = await openProxy()
    const link = await upLink(url, deadlineMs)
    const down = once(link, 'down')
    await proxy.mode(mode)
    await down
    // The old connection stays mute now that the link is mended.
    const up = once(link, 'up')
    await proxy.mode('pass')
    await up
    expect(proxy.accepted).toBeGreaterThanOrEqual(2)
    expect(await answerOf(link, (client) => client.ping())).toBe('PONG')
  })
})

describe('a server that is slow', () => {
  test('commands time out, and what had been sent runs once, not again', async () => {
    const link = await upLink(redis.url, shortDeadlineMs)
    await redis.pause()
    let sent = 0
    const increment = (client: Redis): Promise<number> => {
      sent += 1
      return client.incr('n')
    }
    const reasons: string[] = []
    while (reasons.at(-1) !== 'down') reasons.push(await failureOf(link.run(increment)))
    expect(['timeout', 'down']).toEqual(expect.arrayContaining(reasons))
    await redis.resume()
    expect(Number(await answerOf(link, (client) => client.get('n')))).toBe(sent)
  })

  test('so far away that one command takes most of the deadline: it is used', async () => {
    const { proxy, url } = await openProxy()
    await proxy.mode({ delayMs: 350 })
    const link = new RedisLink({ url, name: 'test', timeoutMs: 1200, needs: ['GET', 'SET'] })
    cleanups.push(() => link.close())
    await once(link, 'up')
    expect(await answerOf(link, (client) => client.set('k', 'v'))).toBe('OK')
  })

  test('BUSY in a script: counts as down until the script has ended', async () => {
    const [link, admin, worker] = await Promise.all([upLink(redis.url, deadlineMs), openAdmin(), openAdmin()])
    const down = once(link, 'down')
    const busy = await makeBusy(admin, worker)
    await down
    expect(await failureOf(link.run((client) => client.get('k')))).toBe('down')
    const up = once(link, 'up')
    await busy.end()
    await up
    expect(await answerOf(link, (client) => client.get('k'))).toBeNull()
  })
})

describe('a server that takes no writes', () => {
  test('full without eviction: writes and writing scripts are `full`, reads go on, the breaker stays closed', async () => {
    const [link, admin] = await Promise.all([upLink(), openAdmin()])
    await link.run((client) => client.set('k', 'v'))
    await admin.config('SET', 'maxmemory-policy', 'noeviction')
    await admin.config('SET', 'maxmemory', '1')
    const downs: unknown[] = []
    link.on('down', () => downs.push('down'))
    for (let left = 5; left > 0; left -= 1) {
      expect(await failureOf(link.run((client) => client.set('k', 'w')))).toBe('full')
      expect(await failureOf(link.lua(script, ['l'], ['v']))).toBe('full')
    }
    expect(await link.run((client) => client.get('k'))).toBe('v')
    expect(link.up).toBe(true)
    expect(downs).toEqual([])
    await admin.config('SET', 'maxmemory', '0')
    expect(await link.run((client) => client.set('k', 'w'))).toBe('OK')
  })

  test('READONLY after a failover: reconnects, at most once a second, and writes after the promotion', async () => {
    const { proxy, url } = await openProxy()
    const [link, admin] = await Promise.all([upLink(url), openAdmin()])
    await admin.replicaof('127.0.0.1', '1')
    const startedMs = performance.now()
    while (performance.now() - startedMs < 1500 || proxy.accepted < 2) {
      expect(await failureOf(link.run((client) => client.set('k', 'v')))).toBe('down')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    const reconnects = proxy.accepted - 1
    expect(reconnects).toBeLessThanOrEqual(Math.ceil((performance.now() - startedMs) / 1000))

    await admin.call('REPLICAOF', 'NO', 'ONE')
    if (!link.up) await once(link, 'up')
    expect(await answerOf(link, (client) => client.set('k', 'v'))).toBe('OK')
  })
})
