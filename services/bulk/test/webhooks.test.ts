import type { ServerResponse } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Webhook } from 'standardwebhooks'
import { blockingConnection, queueConnection, type Redis } from '@ipfleet/redis/connection.ts'
import { OwnAddresses } from '@ipfleet/net/own-addresses.ts'
import { readTargetItem } from '@ipfleet/net/target-list.ts'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import { SlotLimiter } from '../src/limits/slot-limiter.ts'
import { WebhookSender } from '../src/webhooks/webhook-sender.ts'
import { WebhookSigner } from '../src/webhooks/webhook-signer.ts'
import { webhookPolicy } from '../src/webhooks/webhook-target.ts'
import type { WebhookJobs, WebhookNote } from '../src/webhooks/webhook-jobs.ts'
import { Webhooks } from '../src/webhooks/webhooks.ts'
import { type ReceiverOptions, WebhookReceiver } from './webhook-receiver.ts'

const secret = `whsec_${Buffer.alloc(32, 'a secret').toString('base64')}`

let redis: TestRedis
beforeAll(async () => {
  redis = await startTestRedis()
})
afterAll(() => redis.stop())

interface Setup {
  readonly url?: string
  readonly allow?: string
  readonly maxAttempts?: number
  readonly firstMs?: number
  readonly deadlineMs?: number
  /** Default: those of a queue of the test's own. */
  readonly prefix?: string
  readonly redisUrl?: string
  /** Default: `job-1`. */
  readonly jobs?: WebhookJobs
}

/** A job store with a single job, `job-1`, that may be away. */
class OneJob implements WebhookJobs {
  url: string | undefined
  isAway = false
  readonly notes: WebhookNote[] = []

  async read(id: string) {
    if (this.isAway) throw new Error('away')
    return this.url === undefined || id !== 'job-1'
      ? undefined
      : { url: this.url, payload: { id, state: 'completed' }, holder: 'a' }
  }

  async note(_id: string, note: WebhookNote) {
    if (this.isAway) throw new Error('away')
    this.notes.push(note)
  }
}

let harnesses = 0

/** Webhooks as a process has them, and all that they tell. */
class Harness implements AsyncDisposable {
  readonly prefix: string
  readonly jobs = new OneJob()
  readonly webhooks: Webhooks
  readonly events: (readonly [name: string, event: object])[] = []
  readonly #connections: { readonly queue: Redis; readonly worker: Redis }

  constructor(setup: Setup = {}) {
    const { url, allow = '127.0.0.1', maxAttempts = 15, firstMs = 20, deadlineMs = 10_000 } = setup
    this.prefix = setup.prefix ?? `test-${(harnesses += 1)}`
    this.jobs.url = url
    const clock = manualClock()
    const policy = webhookPolicy({
      allow: allow.split(',').flatMap((item) => readTargetItem(item) ?? []),
      deny: [],
      own: new OwnAddresses({ clock, blocks: [], list: () => [] }),
      clock,
    })
    const redisUrl = setup.redisUrl ?? redis.url
    this.#connections = {
      queue: queueConnection({ url: redisUrl }, 'test'),
      worker: blockingConnection({ url: redisUrl }, 'test'),
    }
    this.webhooks = new Webhooks({
      connections: this.#connections,
      prefix: this.prefix,
      jobs: setup.jobs ?? this.jobs,
      slots: new SlotLimiter({ max: 50, sharePercent: 50, what: 'webhooks', setting: '' }),
      sender: new WebhookSender({ policy, signer: new WebhookSigner([secret]), deadlineMs }),
      keepSeconds: 3600,
      pauses: { firstMs, maxMs: 1000 },
      maxAttempts,
    })
    for (const name of ['delivered', 'failed', 'dead', 'unread', 'unnoted'] as const) {
      this.webhooks.on(name, (event: object) => this.events.push([name, event]))
    }
  }

  /** With a worker that delivers. */
  static started(setup: Setup = {}): Harness {
    const harness = new Harness(setup)
    harness.webhooks.start()
    return harness
  }

  async saw(name: string, times = 1): Promise<object> {
    const seen = await until(() => {
      const all = this.events.filter(([one]) => one === name)
      return all.length >= times && all
    })
    return seen[times - 1]?.[1] ?? {}
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.webhooks.close()
    this.#connections.queue.disconnect()
    this.#connections.worker.disconnect()
  }
}

const urlOf = ({ port }: WebhookReceiver, path = '/'): string => `http://127.0.0.1:${port}${path}`

/** Answers with these, and the last one from then on. */
const answering = (...statuses: readonly number[]): ReceiverOptions => ({
  answer: (response, nth) => void response.writeHead(statuses[Math.min(nth, statuses.length) - 1] ?? 200).end(),
})

// First, since BullMQ 6.7.0 keeps a process for five seconds when it was closed while Redis was away.
describe('without Redis', () => {
  test('adding is refused within seconds, and closing ends', async () => {
    const own = await startTestRedis()
    const harness = Harness.started({ redisUrl: own.url })
    await harness.webhooks.enqueue('job-2')
    await own.stop()
    await expect(harness.webhooks.enqueue('job-1')).rejects.toThrow()
    const startedMs = performance.now()
    await harness[Symbol.asyncDispose]()
    expect(performance.now() - startedMs).toBeLessThan(30_000)
  })

  test('closing ends also while Redis hangs', async () => {
    const own = await startTestRedis()
    const harness = Harness.started({ redisUrl: own.url })
    await harness.webhooks.enqueue('job-2')
    await own.pause()
    await harness.webhooks.close(300)
    await own.resume()
    await harness[Symbol.asyncDispose]()
    await own.stop()
  })
})

describe('a webhook', () => {
  test('tells the end of a job once, signed, to a receiver that answers 200', async () => {
    await using receiver = await WebhookReceiver.start()
    await using harness = Harness.started({ url: urlOf(receiver) })
    await Promise.all([harness.webhooks.enqueue('job-1'), harness.webhooks.enqueue('job-1')])
    expect(await harness.saw('delivered')).toEqual({ jobId: 'job-1', attempts: 1 })
    await harness.webhooks.enqueue('job-1')
    await harness.webhooks.close()
    expect(receiver.deliveries).toHaveLength(1)
    const [{ headers, body }] = receiver.deliveries as [(typeof receiver.deliveries)[0]]
    expect(new Webhook(secret).verify(body, headers as Record<string, string>)).toEqual({
      type: 'job.completed',
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      data: { id: 'job-1', state: 'completed' },
    })
    expect(headers['webhook-id']).toBe('msg_job-1')
    expect(harness.jobs.notes[0]).toEqual({ state: 'delivered', attempts: 1 })
  })

  test('reaches a receiver that was down once it is back', async () => {
    const down = await WebhookReceiver.start()
    await using harness = Harness.started({ url: urlOf(down) })
    await down[Symbol.asyncDispose]()
    await harness.webhooks.enqueue('job-1')
    await harness.saw('failed', 3)
    expect(harness.jobs.notes.at(-1)).toEqual({ state: 'waiting', attempts: 3, reason: 'unreachable' })
    await using receiver = await WebhookReceiver.start({ port: down.port })
    const { attempts } = (await harness.saw('delivered')) as { attempts: number }
    expect(attempts).toBeGreaterThan(3)
    expect(receiver.deliveries).toHaveLength(1)
    expect(harness.jobs.notes.at(-1)).toEqual({ state: 'delivered', attempts })
  })

  test('is tried again after 500s with growing pauses, as the same message with a fresh signature', async () => {
    await using receiver = await WebhookReceiver.start(answering(500, 500, 500, 500, 200))
    await using harness = Harness.started({ url: urlOf(receiver), firstMs: 60 })
    await harness.webhooks.enqueue('job-1')
    expect(await harness.saw('delivered')).toEqual({ jobId: 'job-1', attempts: 5 })
    const pauses = receiver.deliveries.slice(1).map(({ atMs }, index) => atMs - (receiver.deliveries[index]?.atMs ?? 0))
    // Half of each is by chance; queue and network only add to it.
    for (const [index, minMs] of [30, 60, 120, 240].entries()) expect(pauses[index]).toBeGreaterThanOrEqual(minMs - 2)
    expect(new Set(receiver.deliveries.map(({ headers }) => headers['webhook-id']))).toEqual(new Set(['msg_job-1']))
    expect(new Set(receiver.deliveries.map(({ body }) => body)).size).toBe(1)
    for (const { body, headers } of receiver.deliveries) {
      expect(() => new Webhook(secret).verify(body, headers as Record<string, string>)).not.toThrow()
    }
  })

  test('waits as long as the receiver asks for with Retry-After', async () => {
    await using receiver = await WebhookReceiver.start({
      answer: (response, nth) => void response.writeHead(nth === 1 ? 429 : 200, { 'retry-after': '1' }).end(),
    })
    await using harness = Harness.started({ url: urlOf(receiver) })
    await harness.webhooks.enqueue('job-1')
    expect(await harness.saw('failed')).toMatchObject({ reason: 'client_error', retryInMs: 1000 })
    await harness.saw('delivered')
    const [first, second] = receiver.deliveries
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(990)
  })

  test('is dead after the last attempt, and stays so', async () => {
    await using receiver = await WebhookReceiver.start(answering(503))
    await using harness = Harness.started({ url: urlOf(receiver), maxAttempts: 3, firstMs: 5 })
    await harness.webhooks.enqueue('job-1')
    expect(await harness.saw('dead')).toEqual({ jobId: 'job-1', attempts: 3, reason: 'server_error' })
    await harness.webhooks.enqueue('job-1')
    expect(receiver.deliveries).toHaveLength(3)
    expect(harness.jobs.notes.slice(0, 3)).toEqual([
      { state: 'waiting', attempts: 1, reason: 'server_error' },
      { state: 'waiting', attempts: 2, reason: 'server_error' },
      { state: 'dead', attempts: 3, reason: 'server_error' },
    ])
    expect(harness.events.filter(([name]) => name === 'failed').map(([, event]) => 'retryInMs' in event)).toEqual([
      true,
      true,
      false,
    ])
  })

  test('is dead at once when the receiver is gone for good', async () => {
    await using receiver = await WebhookReceiver.start(answering(410))
    await using harness = Harness.started({ url: urlOf(receiver) })
    await harness.webhooks.enqueue('job-1')
    expect(await harness.saw('dead')).toEqual({ jobId: 'job-1', attempts: 1, reason: 'gone' })
    expect(harness.jobs.notes).toEqual([{ state: 'dead', attempts: 1, reason: 'gone' }])
  })

  test('never gets to a private address that is not allowed, nor after a redirect', async () => {
    await using inside = await WebhookReceiver.start()
    await using redirecting = await WebhookReceiver.start({
      host: '127.0.0.2',
      answer: (response) => void response.writeHead(307, { location: urlOf(inside) }).end(),
    })
    await using harness = Harness.started({ url: urlOf(inside), allow: '127.0.0.2', maxAttempts: 2, firstMs: 5 })
    await harness.webhooks.enqueue('job-1')
    expect(await harness.saw('dead')).toMatchObject({ reason: 'refused' })
    harness.jobs.url = `http://127.0.0.2:${redirecting.port}/`
    await harness.webhooks.resend('job-1')
    expect(await harness.saw('dead', 2)).toMatchObject({ reason: 'redirect' })
    expect(inside.connections).toBe(0)
  })

  test('of a job that is gone is not sent', async () => {
    await using receiver = await WebhookReceiver.start()
    await using harness = Harness.started({ url: urlOf(receiver) })
    await harness.webhooks.enqueue('job-2')
    await harness.webhooks.enqueue('job-1')
    await harness.saw('delivered')
    await harness.webhooks.close()
    expect(receiver.deliveries.map(({ headers }) => headers['webhook-id'])).toEqual(['msg_job-1'])
  })
})

describe('sending again', () => {
  test('what was delivered or is dead begins anew, under the same id', async () => {
    await using receiver = await WebhookReceiver.start(answering(410, 200))
    await using harness = Harness.started({ url: urlOf(receiver) })
    await harness.webhooks.enqueue('job-1')
    await harness.saw('dead')
    await until(async () => (await keyOf(harness, 'failed')) === 1)
    await harness.webhooks.resend('job-1')
    expect(await harness.saw('delivered')).toEqual({ jobId: 'job-1', attempts: 1 })
    await until(async () => (await keyOf(harness, 'completed')) === 1)
    await harness.webhooks.resend('job-1')
    expect(await harness.saw('delivered', 2)).toEqual({ jobId: 'job-1', attempts: 1 })
    expect(receiver.deliveries.map(({ headers }) => headers['webhook-id'])).toEqual(Array(3).fill('msg_job-1'))
    expect(harness.jobs.notes.map(({ state }) => state)).toEqual([
      'dead',
      'waiting',
      'delivered',
      'waiting',
      'delivered',
    ])
  })

  test('what waits for its next attempt waits no longer', async () => {
    await using receiver = await WebhookReceiver.start({
      answer: (response, nth) => void response.writeHead(nth === 1 ? 503 : 200, { 'retry-after': '3600' }).end(),
    })
    await using harness = Harness.started({ url: urlOf(receiver) })
    await harness.webhooks.enqueue('job-1')
    expect(await harness.saw('failed')).toMatchObject({ retryInMs: 3_600_000 })
    await until(async () => (await keyOf(harness, 'delayed')) === 1)
    await harness.webhooks.resend('job-1')
    expect(await harness.saw('delivered')).toEqual({ jobId: 'job-1', attempts: 2 })
  })

  test('what was not sent yet is sent', async () => {
    await using receiver = await WebhookReceiver.start()
    await using harness = Harness.started({ url: urlOf(receiver) })
    await harness.webhooks.resend('job-1')
    await harness.saw('delivered')
    expect(receiver.deliveries).toHaveLength(1)
  })
})

describe('what goes wrong here', () => {
  test('a job that cannot be read now costs no attempt', async () => {
    await using receiver = await WebhookReceiver.start()
    await using harness = Harness.started({ url: urlOf(receiver), maxAttempts: 1 })
    harness.jobs.isAway = true
    await harness.webhooks.enqueue('job-1')
    await harness.saw('unread')
    expect(receiver.deliveries).toHaveLength(0)
    harness.jobs.isAway = false
    expect(await harness.saw('delivered')).toEqual({ jobId: 'job-1', attempts: 1 })
  })

  test('what was delivered is not sent again because it could not be noted; the next call of enqueue notes it', async () => {
    await using receiver = await WebhookReceiver.start({
      answer: (response, nth) => {
        harness.jobs.isAway = nth === 2
        response.writeHead(nth === 1 ? 500 : 200).end()
      },
    })
    await using harness = Harness.started({ url: urlOf(receiver) })
    await harness.webhooks.enqueue('job-1')
    await harness.saw('delivered')
    await harness.saw('unnoted')
    expect(harness.jobs.notes).toEqual([{ state: 'waiting', attempts: 1, reason: 'server_error' }])
    harness.jobs.isAway = false
    await until(async () => (await keyOf(harness, 'completed')) === 1)
    await harness.webhooks.enqueue('job-1')
    expect(harness.jobs.notes.at(-1)).toEqual({ state: 'delivered', attempts: 2 })
    expect(receiver.deliveries).toHaveLength(2)
  })

  test('closing waits for attempts under way; another process goes on with the rest', async () => {
    const held: ServerResponse[] = []
    const release = (): void => void held.pop()?.writeHead(500).end()
    await using receiver = await WebhookReceiver.start({ answer: (response) => void held.push(response) })
    const first = Harness.started({ url: urlOf(receiver) })
    await first.webhooks.enqueue('job-1')
    await until(() => receiver.deliveries.length === 1)
    const closed = first[Symbol.asyncDispose]()
    release()
    await closed
    expect(first.events.map(([name]) => name)).toEqual(['failed'])
    await using second = Harness.started({ url: urlOf(receiver), prefix: first.prefix })
    await until(() => receiver.deliveries.length === 2)
    release()
    expect(await second.saw('failed')).toMatchObject({ attempts: 2 })
  })

  test('a restart of Redis that keeps its data loses no webhook', async () => {
    const own = await startTestRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
    try {
      await using receiver = await WebhookReceiver.start(answering(503, 200))
      await using harness = Harness.started({ url: urlOf(receiver), redisUrl: own.url, firstMs: 1000 })
      await harness.webhooks.enqueue('job-1')
      await harness.saw('failed')
      // Or it was sent again already, on a machine that stood still.
      const isSent = (): boolean => harness.events.some(([name]) => name === 'delivered')
      await until(async () => isSent() || (await keyOf(harness, 'delayed', own.url)) === 1)
      await own.restart()
      // One that was taken up as Redis ended waits until its lock is over and is found, which takes most of a minute.
      const [, delivered] = await until(() => harness.events.find(([name]) => name === 'delivered'), 150_000)
      expect(delivered).toEqual({ jobId: 'job-1', attempts: 2 })
      expect(receiver.deliveries).toHaveLength(2)
    } finally {
      await own.stop()
    }
  })
})

test('what is secret in a URL is in no event, note or key of Redis', async () => {
  await using receiver = await WebhookReceiver.start(answering(500))
  const url = urlOf(receiver, '/in-path-canary?token=query-canary')
  await using harness = Harness.started({ url, maxAttempts: 2, firstMs: 300 })
  await harness.webhooks.enqueue('job-1')
  await harness.saw('failed')
  expect(receiver.deliveries[0]?.path).toBe('/in-path-canary?token=query-canary')
  const betweenAttempts = await allOf(harness)
  await harness.saw('dead')
  const told = JSON.stringify([betweenAttempts, await allOf(harness), harness.events, harness.jobs.notes])
  expect(told).toContain('webhook-job-1')
  expect(told).not.toMatch(/canary/)
})

async function withRedis<T>(use: (client: Redis) => Promise<T>, url = redis.url): Promise<T> {
  const client = queueConnection({ url }, 'look')
  try {
    return await use(client)
  } finally {
    client.disconnect()
  }
}

/** How many tasks are in a state. */
function keyOf({ prefix }: Harness, state: 'failed' | 'completed' | 'delayed', url?: string): Promise<number> {
  return withRedis((client) => client.zcard(`${prefix}:webhooks:${state}`), url)
}

/** Everything that Redis keeps of a queue. */
function allOf({ prefix }: Harness): Promise<string[]> {
  return withRedis(async (client) => {
    const keys = await client.keys(`${prefix}:*`)
    const values = await Promise.all(keys.map((key) => client.dump(key)))
    return [...keys, ...values.map(String)]
  })
}

test("one client's receivers that never answer take its slots, and do not delay webhooks of others", async () => {
  const receivers: { dead?: WebhookReceiver; well?: WebhookReceiver } = {}
  const jobs: WebhookJobs = {
    read: async (id) => {
      const isDead = id.startsWith('dead')
      const receiver = isDead ? receivers.dead : receivers.well
      return receiver && { url: urlOf(receiver), payload: { id }, holder: isDead ? 'them' : id }
    },
    note: async () => {},
  }
  await using harness = new Harness({ jobs, deadlineMs: 20_000 })
  // Closed before the webhooks are: attempts end with their receivers.
  await using dead = await WebhookReceiver.start({ answer: () => {} })
  await using well = await WebhookReceiver.start()
  Object.assign(receivers, { dead, well })
  await Promise.all(Array.from({ length: 120 }, (_, at) => harness.webhooks.enqueue(`dead-${at}`)))
  await Promise.all(Array.from({ length: 30 }, (_, at) => harness.webhooks.enqueue(`well-${at}`)))
  harness.webhooks.start()
  await harness.saw('delivered', 30)
  expect(dead.deliveries.length).toBeLessThanOrEqual(25)
  await until(() => dead.deliveries.length === 25)
  expect(harness.events.filter(([name]) => name !== 'delivered')).toEqual([])
})
