import { Agent } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { RecordingBackend } from '@ipfleet/testing/recording-backend.ts'
import { observeRedis, type RedisObserver, type SeenCommand } from '@ipfleet/testing/redis-observer.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import { ask, type Reply } from './ask.ts'
import { type EdgeStart, type RunningEdge, startEdge } from './start-edge.ts'
import { metricIn } from './worker-fleet.ts'

/** How much each client may ask, counted by all edges together. */

const agent = new Agent({ keepAlive: true, maxSockets: 40 })
const opened: (() => Promise<unknown>)[] = []
let backend: RecordingBackend
let redis: TestRedis
let observer: RedisObserver

beforeAll(async () => {
  backend = await RecordingBackend.start()
  redis = await startTestRedis()
  observer = await observeRedis(redis.url)
})
afterAll(async () => {
  agent.destroy()
  await observer[Symbol.asyncDispose]()
  await redis.stop()
  await backend[Symbol.asyncDispose]()
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map((close) => close()))
})

/** A busy machine may stand still for two seconds; tests about a Redis that does not answer say so themselves. */
const patient = { REDIS_TIMEOUT_MS: '10000' } as const

/** Edges with these tables and the same Redis, for clients that name themselves. */
async function edgesWith(count: number, tables: string, env: EdgeStart['env'] = patient): Promise<RunningEdge[]> {
  const start = { backends: [backend.port], tables, env: { TRUST_PROXY: 'loopback', REDIS_URL: redis.url, ...env } }
  const starting = Array.from({ length: count }, () => startEdge(start))
  const edges = await Promise.all(starting)
  opened.push(...edges.map((edge) => () => edge.stop()))
  await Promise.all(edges.map((edge) => until(() => reachesRedis(edge))))
  return edges
}

async function edgeWith(tables: string): Promise<RunningEdge> {
  const [edge] = await edgesWith(1, tables)
  if (edge === undefined) throw new Error('no edge')
  return edge
}

async function metricOf({ port }: RunningEdge, series: string): Promise<number | undefined> {
  return metricIn((await ask(port, '/metrics', { agent })).body, series)
}

async function reachesRedis(edge: RunningEdge): Promise<boolean> {
  return (await metricOf(edge, 'ipfleet_edge_redis_up')) === 1
}

let clients = 0
/** An IPv4 client that has asked nothing yet. */
const newClient = (): string => `198.51.${clients >> 8}.${clients++ & 255}`

const askAs = (client: string, { port }: RunningEdge, headers: Record<string, string> = {}, path = '/') =>
  ask(port, path, { agent, headers: { 'X-Forwarded-For': client, ...headers } })

/** `count` requests of one client at once, spread over the edges. */
function askTogether(client: string, edges: readonly RunningEdge[], count: number): Promise<Reply[]> {
  const one = (index: number): Promise<Reply> => askAs(client, edges[index % edges.length]!)
  return Promise.all(Array.from({ length: count }, (_, index) => one(index)))
}

/** As many one after the other, so that each is within every deadline however busy the machine is. */
async function askByTurns(client: string, edges: readonly RunningEdge[], count: number): Promise<Reply[]> {
  const replies: Reply[] = []
  for (let turn = 0; turn < count; turn += 1) replies.push(await askAs(client, edges[turn % edges.length]!))
  return replies
}

/** How many got each status. */
function tally(replies: readonly Reply[]): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const { status } of replies) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

const windowOf = (requests: number, more = ''): string =>
  `[rate_limit]\nmax_requests = ${requests}\nwindow_seconds = 3600\n${more}`

/** What runs on timers, whether anyone asks or not. */
const background = new Set(['ping', 'info', 'client', 'hello', 'script'])

/** An edge says every few seconds that it is there. */
const isBeat = ({ args, inner }: SeenCommand): boolean => !inner && args.includes('ipfleet:members:{edge}')

/** Both of two have been told again how many there are, twice: an answer that comes too late is not taken. */
function eachKnowsOfTheOther(beats: readonly SeenCommand[]): boolean {
  // Script, number of keys, key, member, life.
  const members = beats.map(({ args }) => args[3])
  const second = members.findIndex((member) => member !== members[0])
  const since = (one: string | undefined): number => members.slice(second).filter((member) => member === one).length
  return second > 0 && since(members[0]) >= 2 && since(members[second]) >= 2
}

interface Timed {
  readonly reply: Reply
  readonly tookMs: number
}

/** As `askTogether`, and how long each took. */
function timed(client: string, edges: readonly RunningEdge[], count: number): Promise<Timed>[] {
  return Array.from({ length: count }, async (_, index) => {
    const beganMs = performance.now()
    const reply = await askAs(client, edges[index % edges.length]!)
    return { reply, tookMs: performance.now() - beganMs }
  })
}

const longestMs = (samples: readonly Timed[]): number => Math.max(...samples.map(({ tookMs }) => tookMs))

/** All that Redis holds, and all that it has been told since the last `costOf`. */
async function evidence(): Promise<string> {
  await observer.caughtUp()
  return `${await observer.dump()}\n${JSON.stringify(observer.commands())}`
}

/** By which an edge tells of itself, every few seconds. */
const isOwn = (command: SeenCommand): boolean => isBeat(command) || command.args.includes('ipfleet:presence:{presence}')

/** What work made Redis do, without what the server did inside of scripts, and without what the edges tell of themselves. */
async function costOf(work: () => Promise<unknown>): Promise<readonly SeenCommand[]> {
  await observer.caughtUp()
  observer.clear()
  await work()
  await observer.caughtUp()
  return observer.commands().filter((command) => !command.inner && !background.has(command.name) && !isOwn(command))
}

describe('two edges with one Redis', () => {
  let edges: readonly RunningEdge[]
  const limit = 100
  beforeAll(async () => {
    edges = await edgesWith(2, windowOf(limit))
    // They outlive the test that comes first.
    opened.length = 0
  })
  afterAll(() => Promise.all(edges.map((edge) => edge.stop())))

  test('let through together exactly what one client may ask, however it is spread', async () => {
    const replies = await askTogether(newClient(), edges, 3 * limit)
    expect(tally(replies)).toEqual({ 200: limit, 429: 2 * limit })
    const left = replies.flatMap(({ status, headers }) =>
      status === 200 ? [Number(headers['x-rate-limit-remaining'])] : [],
    )
    expect(left.toSorted((a, b) => b - a)).toEqual(Array.from({ length: limit }, (_, index) => limit - 1 - index))
  })

  test('and what another may: one client’s requests are not counted as another’s', async () => {
    const [one, other] = [newClient(), newClient()]
    expect(tally(await askTogether(one, edges, limit + 10))).toEqual({ 200: limit, 429: 10 })
    expect((await askAs(other, edges[0]!)).headers['x-rate-limit-remaining']).toBe(String(limit - 1))
  })

  test('refuse who is known to be over from memory: nothing is asked of Redis', async () => {
    const client = newClient()
    const within = await costOf(() => askTogether(client, edges, limit))
    expect(within).toHaveLength(limit)
    // Each of them finds it out once.
    for (const edge of edges) expect((await askAs(client, edge)).status).toBe(429)
    const beyond = await costOf(async () => {
      expect(tally(await askTogether(client, edges, 50))).toEqual({ 429: 50 })
    })
    expect(beyond).toEqual([])
  })

  test('count an IPv6 client by its /64, in any spelling, and an IPv4-mapped one as IPv4', async () => {
    const first = await askAs('2001:db8:1:2::1', edges[0]!)
    const second = await askAs('2001:DB8:0001:2:ffff:ffff:ffff:fffe', edges[1]!)
    const other = await askAs('2001:db8:1:3::1', edges[0]!)
    const left = [first, second, other].map(({ headers }) => Number(headers['x-rate-limit-remaining']))
    expect(left).toEqual([limit - 1, limit - 2, limit - 1])
    const client = newClient()
    await askAs(client, edges[0]!)
    const mapped = await askAs(`::ffff:${client}`, edges[1]!)
    expect(mapped.headers['x-rate-limit-remaining']).toBe(String(limit - 2))
  })

  test('count what was said, and show how often', async () => {
    const decisions = (decision: string) =>
      metricOf(edges[0]!, `ipfleet_edge_limiter_decisions_total{decision="${decision}"}`)
    const [allowed = 0, limited = 0] = [await decisions('allowed'), await decisions('limited')]
    await askTogether(newClient(), [edges[0]!], limit + 7)
    expect([await decisions('allowed'), await decisions('limited')]).toEqual([allowed + limit, limited + 7])
  })
})

test('with ahead_percent most requests ask nothing of Redis, and no more is let through than that allows', async () => {
  const limit = 400
  const edges = await edgesWith(2, windowOf(limit, 'ahead_percent = 10'))
  const client = newClient()
  const replies: Reply[] = []
  const cost = await costOf(async () => {
    for (let turn = 0; turn < 20; turn += 1) replies.push(...(await askTogether(client, edges, 10)))
  })
  expect(tally(replies)).toEqual({ 200: 200 })
  expect(cost.length).toBeLessThan(100)
  for (let turn = 0; turn < 20; turn += 1) replies.push(...(await askTogether(client, edges, 20)))
  const { 200: allowed = 0 } = tally(replies)
  expect(allowed).toBeGreaterThanOrEqual(limit)
  expect(allowed).toBeLessThanOrEqual(limit * 1.2)
})

describe('a token bucket', () => {
  test('lets its burst through at once, over all edges', async () => {
    const tables = '[rate_limit]\nalgorithm = "token-bucket"\nburst = 50\nrefill_per_second = 0.001'
    const edges = await edgesWith(2, tables)
    expect(tally(await askTogether(newClient(), edges, 150))).toEqual({ 200: 50, 429: 100 })
  })

  test('lets through what flows in, when its Retry-After says', async () => {
    const edge = await edgeWith('[rate_limit]\nalgorithm = "token-bucket"\nburst = 3\nrefill_per_second = 0.25')
    const client = newClient()
    let refusedMs = 0
    const askNext = async (): Promise<Reply> => {
      const askedMs = performance.now()
      const reply = await askAs(client, edge)
      if (reply.status === 429) refusedMs = askedMs
      return reply
    }
    const startedMs = performance.now()
    const replies = [await askNext(), await askNext(), await askNext()]
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(replies[0]?.headers).toMatchObject({ 'ratelimit-policy': '"client";q=3;w=12', 'x-rate-limit-limit': '3' })
    // On a machine that took four seconds for this, one has flowed in already.
    expect((await askNext()).status === 429 || performance.now() - startedMs >= 4000).toBe(true)
    const refusal = await until(async () => {
      const reply = await askNext()
      return reply.status === 429 && reply
    })
    const beganMs = refusedMs
    const waitSeconds = Number(refusal.headers['retry-after'])
    expect([1, 2, 3, 4]).toContain(waitSeconds)
    await until(async () => (await askNext()).status === 200)
    // Retry-After is in whole seconds, rounded up.
    expect(performance.now() - beganMs).toBeGreaterThan((waitSeconds - 1) * 1000 - 50)
    const lastRefusedMs = refusedMs
    expect((await askNext()).status === 429 || performance.now() - lastRefusedMs >= 4000).toBe(true)
  })
})

describe('by key_extractor', () => {
  test('a header field makes the client, wherever it comes from; without it, the address does', async () => {
    const edge = await edgeWith(
      windowOf(2, 'key_extractor = "header:X-Api-Key"\nknown = ["canary-key-1", "canary-key-2"]'),
    )
    const askWith = (key: string | undefined, client = newClient()) =>
      askAs(client, edge, key === undefined ? {} : { 'x-api-KEY': key })
    const replies = [await askWith('canary-key-1'), await askWith('canary-key-1'), await askWith('canary-key-1')]
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 429])
    expect((await askWith('canary-key-2')).status).toBe(200)
    const client = newClient()
    const nameless = [await askWith(undefined, client), await askWith('', client), await askWith(undefined, client)]
    expect(nameless.map(({ status }) => status)).toEqual([200, 200, 429])
    expect((await askWith('canary-key-2', client)).status).toBe(200)
    // Invented ones have no budget of their own.
    expect((await askWith('invented', client)).status).toBe(429)
    expect(await evidence()).not.toContain('canary-key')
    expect(edge.output()).not.toContain('canary-key')
  })

  test('a token does, wherever an SDK puts it, and is shown to nobody', async () => {
    const edge = await edgeWith(windowOf(3, 'key_extractor = "token"\nknown = ["canary-token", "another"]'))
    const basic = Buffer.from('canary-token:').toString('base64')
    const replies = [
      await askAs(newClient(), edge, { Authorization: 'Bearer canary-token' }),
      await askAs(newClient(), edge, { Authorization: `Basic ${basic}` }),
      await askAs(newClient(), edge, {}, '/?token=canary-token'),
      await askAs(newClient(), edge, { Authorization: 'Bearer canary-token' }),
    ]
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 429])
    expect((await askAs(newClient(), edge, { Authorization: 'Bearer another' })).status).toBe(200)
    const seen = await evidence()
    expect(seen).toContain('ipfleet:limit:{edge:')
    for (const secret of ['canary-token', basic]) expect(seen).not.toContain(secret)
  })
})

describe('who is not counted, or not served', () => {
  const denied = '203.0.113.7'

  test('exempt clients are not limited; denied ones get 403, for the own endpoints too, and count nothing', async () => {
    const edge = await edgeWith(
      `${windowOf(2, 'exempt = ["192.0.2.0/24", "2001:db8:ee::/48"]')}\n[access]\ndeny = ["203.0.113.0/24"]`,
    )
    for (const exempt of ['192.0.2.99', '2001:db8:ee:1::1']) {
      const replies = await askTogether(exempt, [edge], 10)
      expect(tally(replies)).toEqual({ 200: 10 })
      expect(replies[0]?.headers).not.toHaveProperty('x-rate-limit-limit')
    }
    const cost = await costOf(async () => {
      const refusals = await askTogether(denied, [edge], 5)
      expect(tally(refusals)).toEqual({ 403: 5 })
      expect(JSON.parse(refusals[0]?.body ?? '')).toMatchObject({ status: 403 })
      for (const path of ['/metrics', '/edge/readyz']) expect((await askAs(denied, edge, {}, path)).status).toBe(403)
    })
    expect(cost).toEqual([])
    expect((await askAs(newClient(), edge)).headers['x-rate-limit-remaining']).toBe('1')
  })

  test('with limit_methods only those count: preflights do not use up what a client has', async () => {
    const edge = await edgeWith(windowOf(2, 'limit_methods = ["GET", "POST"]'))
    const client = newClient()
    const asking = (method: string) =>
      ask(edge.port, '/', { agent, method, headers: { 'X-Forwarded-For': client, 'Content-Length': '0' } })
    for (let turn = 0; turn < 5; turn += 1) {
      const { status, headers } = await asking('OPTIONS')
      expect([status, headers['x-rate-limit-limit']]).toEqual([200, undefined])
    }
    const statuses: number[] = []
    for (const method of ['GET', 'POST', 'GET', 'PUT', 'OPTIONS']) statuses.push((await asking(method)).status)
    expect(statuses).toEqual([200, 200, 429, 200, 200])
  })

  test('OPTIONS about the edge as a whole does not count', async () => {
    const edge = await edgeWith(windowOf(1))
    const client = newClient()
    for (const [method, path] of [
      ['OPTIONS', '*'],
      ['OPTIONS', '*'],
      ['GET', '/'],
    ] as const) {
      expect((await ask(edge.port, path, { agent, method, headers: { 'X-Forwarded-For': client } })).status).toBe(200)
    }
  })

  test('with an allow list nobody else is served, and deny goes before it', async () => {
    const edge = await edgeWith('[access]\nallow = ["198.51.0.0/16", "loopback"]\ndeny = ["198.51.255.0/24"]')
    expect((await askAs(newClient(), edge)).status).toBe(200)
    expect((await askAs('198.51.255.1', edge)).status).toBe(403)
    expect((await askAs('192.0.2.1', edge)).status).toBe(403)
    expect((await askAs('2001:db8::1', edge)).status).toBe(403)
  })

  test('X-Forwarded-For of somebody who is not trusted makes no new client', async () => {
    const [edge] = await edgesWith(1, windowOf(2), { ...patient, TRUST_PROXY: '192.0.2.0/24' })
    const replies = [await askAs('198.51.100.1', edge!), await askAs('198.51.100.2', edge!), await askAs(denied, edge!)]
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 429])
  })
})

describe('while Redis is away', () => {
  const limit = 40
  const deadlineMs = 8000
  const own = { REDIS_TIMEOUT_MS: String(deadlineMs) }
  let ownRedis: TestRedis
  let edges: readonly RunningEdge[]
  beforeAll(async () => {
    ownRedis = await startTestRedis()
    await using seen = await observeRedis(ownRedis.url)
    edges = await edgesWith(2, windowOf(limit), { ...own, REDIS_URL: ownRedis.url })
    opened.length = 0
    await until(() => eachKnowsOfTheOther(seen.commands().filter(isBeat)))
  })
  afterAll(async () => {
    await Promise.all(edges.map((edge) => edge.stop()))
    await ownRedis.stop()
  })

  test('hung: each edge keeps to its share, nothing fails, and nobody waits for it', async () => {
    const [one, other] = [newClient(), newClient()]
    expect(tally(await askTogether(one, edges, 10))).toEqual({ 200: 10 })
    await ownRedis.pause()
    const stuck = await Promise.all(timed(one, edges, 60))
    const later: Timed[] = []
    for (let turn = 0; turn < 60; turn += 1) later.push(...(await Promise.all(timed(other, [edges[turn % 2]!], 1))))
    expect(tally(stuck.map(({ reply }) => reply))).toEqual({ 200: limit - 10, 429: 60 - (limit - 10) })
    expect(tally(later.map(({ reply }) => reply))).toEqual({ 200: limit, 429: 60 - limit })
    // Nobody waits longer than the deadline, and soon nobody waits any more. The rest is the machine's.
    expect(longestMs([...stuck, ...later])).toBeLessThan(30_000)
    expect(later.filter(({ tookMs }) => tookMs > deadlineMs - 100).length).toBeLessThanOrEqual(10)
    await ownRedis.resume()
    await Promise.all(edges.map((edge) => until(() => reachesRedis(edge))))
    expect(tally(await askByTurns(newClient(), edges, 2 * limit))).toEqual({ 200: limit, 429: limit })
  })

  test('dead: likewise; and when it is back, all count together again, also what was let through meanwhile', async () => {
    await ownRedis.kill()
    await Promise.all(edges.map((edge) => until(async () => !(await reachesRedis(edge)))))
    const client = newClient()
    expect(tally(await askTogether(client, edges, 3 * limit))).toEqual({ 200: limit, 429: 2 * limit })
    await ownRedis.restart()
    await Promise.all(edges.map((edge) => until(() => reachesRedis(edge))))
    expect(tally(await askByTurns(newClient(), edges, 2 * limit))).toEqual({ 200: limit, 429: limit })
    await using seen = await observeRedis(ownRedis.url)
    await until(async () => (await seen.dump()).includes(`:${client}} = ["index"`))
    const late = await edgesWith(1, windowOf(limit), { ...own, REDIS_URL: ownRedis.url })
    expect((await askAs(client, late[0]!)).status).toBe(429)
  })

  test('from the start: it is done without, until it comes', async () => {
    const late = await startTestRedis()
    opened.push(() => late.stop())
    await late.kill()
    const env = { TRUST_PROXY: 'loopback', REDIS_URL: late.url, ...own }
    const edge = await startEdge({ backends: [backend.port], tables: windowOf(3), env })
    opened.push(() => edge.stop())
    expect(tally(await askTogether(newClient(), [edge], 5))).toEqual({ 200: 3, 429: 2 })
    await late.restart()
    await until(() => reachesRedis(edge))
    expect(tally(await askTogether(newClient(), [edge], 5))).toEqual({ 200: 3, 429: 2 })
  })
})
