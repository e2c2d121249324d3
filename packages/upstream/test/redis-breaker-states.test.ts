import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { Subscriber } from '@ipfleet/redis/subscriber.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { FleetBreaker } from '../src/fleet-breaker.ts'
import { RedisBreakerStates } from '../src/redis-breaker-states.ts'

const settings = {
  failureShare: 0.5,
  slowShare: 0.5,
  slowMs: 0,
  window: 10,
  minCalls: 2,
  probeMs: 5000,
}

let redis: TestRedis
const closings: (() => void)[] = []

beforeAll(async () => {
  redis = await startTestRedis()
})
afterEach(() => {
  for (const close of closings.splice(0)) close()
})
afterAll(() => redis.stop())

async function connectedLink(): Promise<RedisLink> {
  const link = new RedisLink({ url: redis.url, name: 'state', timeoutMs: 5000 })
  closings.push(() => link.close())
  await once(link, 'up')
  return link
}

/** Its breaker with that name, when it hears of what others do. */
async function replica(name: string, openMs = 60_000): Promise<FleetBreaker> {
  const link = await connectedLink()
  const subscriber = new Subscriber({ url: redis.url })
  closings.push(() => subscriber.close())
  const subscribed = new Promise<void>((resolve) => subscriber.onGap(resolve))
  const breaker = new FleetBreaker({ ...settings, openMs }, new RedisBreakerStates(link, subscriber).of(name))
  await subscribed
  return breaker
}

async function fail(breaker: FleetBreaker): Promise<void> {
  for (let calls = 0; calls < 2; calls += 1) {
    const admission = await breaker.admit()
    if (admission.kind === 'pass') await breaker.report(admission, 'failed', 1)
  }
}

async function dueForProbe(breaker: FleetBreaker): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setInterval(() => {
    if (breaker.state === 'half-open') resolve()
  }, 5)
  await promise
  clearInterval(timer)
}

test('a breaker that opens on one replica opens on all, and one probe of the fleet closes it on all', async () => {
  const [first, second] = [await replica('probed', 400), await replica('probed', 400)]
  const opened = once(second, 'change')
  await fail(first)
  expect(await opened).toEqual(['open'])

  await Promise.all([dueForProbe(first), dueForProbe(second)])
  const admissions = await Promise.all([first.admit(), second.admit(), first.admit(), second.admit()])
  const probes = admissions.filter(({ kind }) => kind === 'pass')
  expect(probes).toEqual([{ kind: 'pass', isProbe: true }])

  const prober = admissions[0]?.kind === 'pass' || admissions[2]?.kind === 'pass' ? first : second
  const other = prober === first ? second : first
  const closed = once(other, 'change')
  await prober.report({ isProbe: true }, 'ok', 1)
  expect(await closed).toEqual(['closed'])
  expect([first.state, second.state]).toEqual(['closed', 'closed'])
})

test.each([
  ['another replica', 1],
  ['the one that pauses', 0],
] as const)('a pause of 0 ms refuses no call: the next one is the probe as soon as %s hears of it', async (_, at) => {
  const replicas = [await replica(`at once ${at}`), await replica(`at once ${at}`)] as const
  const changed = once(replicas[at], 'change')
  const told = replicas[0].pause(0)
  await changed
  expect(await replicas[at].admit()).toEqual({ kind: 'pass', isProbe: true })
  await told
})

test('a replica that joins while the breaker is open learns of it', async () => {
  const first = await replica('joined')
  await fail(first)
  const joining = await replica('joined')
  if (joining.state === 'closed') await once(joining, 'change')
  expect(joining.state).not.toBe('closed')
})

test('a replica whose subscription was lost while the breaker opened learns of it', async () => {
  const breaker = await replica('missed')
  const changed = once(breaker, 'change')
  const { client, names } = await connectedLink()
  // Another replica has opened it, and its message is lost.
  await client.set(names.key('breaker', 'missed', 'open'), '', 'PX', 60_000)
  await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  expect(await changed).toEqual(['open'])
})

test('without Redis each replica probes for itself', async () => {
  const breaker = await replica('alone', 400)
  await redis.kill()
  await fail(breaker)
  // Half-open once its pause is over, however soon that is seen.
  expect(breaker.state).not.toBe('closed')
  await dueForProbe(breaker)
  expect(await breaker.admit()).toEqual({ kind: 'pass', isProbe: true })
  await redis.restart()
})
