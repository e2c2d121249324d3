import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { processMemory } from '@ipfleet/testing/process-memory.ts'
import { converse } from '@ipfleet/testing/raw-conversation.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { type LocalFleet, type Reply, startLocalFleet } from './local-fleet.ts'
import { parseRaw } from './raw-http.ts'

/** What one client can make a replica hold before its request is whole (issue 12). */
let redis: TestRedis
let fleet: LocalFleet
const sockets: Socket[] = []
beforeAll(async () => {
  redis = await startTestRedis()
  const env = { TRUST_PROXY: '127.0.0.0/8', BODY_IDLE_TIMEOUT_MS: '6000' }
  fleet = await startLocalFleet({
    redis,
    env,
    fake: { keys: { 'test-key-1': { toolsPerDay: 100 } } },
    keys: ['test-key-1'],
  })
})
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
})
afterAll(async () => {
  await fleet.stop()
  await redis.stop()
})

/** Inflates to 10,000,000 bytes, and is not the whole of the body that its header announces. */
const bomb = gzipSync(Buffer.alloc(10_000_000, '8.8.8.8\n'))
/** A body that is sent to its end. */
const good = gzipSync(Buffer.from(`8.8.8.8\n${' '.repeat(3_000_000)}`))
const brotli = (text: string | Buffer, lgwin: number): Buffer =>
  brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_LGWIN]: lgwin } })
const portOf = (index = 0): number => fleet.replicas[index]?.port ?? 0
const memory = (): number => processMemory(fleet.replicas[0]?.pid ?? 0, 'VmRSS')

interface Unfinished {
  readonly socket: Socket
  /** What the server has said so far. */
  readonly answer: () => string
}

async function unfinished(port: number, fields: readonly string[], body: Buffer | string): Promise<Unfinished> {
  const socket = connect({ port, host: '127.0.0.1' })
  sockets.push(socket)
  let text = ''
  socket.on('data', (chunk) => (text += chunk.toString('latin1'))).on('error', () => {})
  await once(socket, 'connect')
  const head = ['POST /tools/map HTTP/1.1', 'Host: a', 'Content-Length: 99999', ...fields, '', '']
  socket.write(head.join('\r\n'))
  socket.write(body)
  return { socket, answer: () => text }
}

const gzipped = (from: string): string[] => ['Content-Encoding: gzip', `X-Forwarded-For: ${from}`]
const post = (path: string, body: string | Buffer, headers = {}): Promise<Reply> =>
  fleet.ask(path, { method: 'POST', body, headers })

test('without a token nothing of a body is read', async () => {
  await using guarded = await startLocalFleet({ redis, env: { CLIENT_TOKENS: 'a-token-1,b-token-2;requests=1/hour' } })
  const port = guarded.replicas[0]?.port ?? 0
  const before = processMemory(guarded.replicas[0]?.pid ?? 0, 'VmRSS')
  const ofBudget = ['Authorization: Bearer b-token-2']
  await guarded.ask('/8.8.8.8', { headers: { authorization: 'Bearer b-token-2' } })
  const all = await Promise.all([
    ...Array.from({ length: 26 }, () => unfinished(port, ['Content-Encoding: gzip'], bomb)),
    unfinished(port, ['Authorization: Bearer c-token-3', 'Content-Encoding: gzip'], bomb),
    unfinished(port, [...ofBudget, 'Content-Encoding: gzip'], bomb),
  ])
  const statuses = await until(() => {
    const seen = all.map(({ answer }) => parseRaw(answer()).status)
    return seen.every((status) => !Number.isNaN(status)) && seen
  })
  expect(statuses).toEqual([...Array(26).fill(401), 403, 429])
  expect(processMemory(guarded.replicas[0]?.pid ?? 0, 'VmRSS') - before).toBeLessThan(40e6)
})

describe('bodies that are never finished', () => {
  test('of one client are within its share, and keep no other from being answered', async () => {
    const before = memory()
    const all = await Promise.all(Array.from({ length: 26 }, () => unfinished(portOf(), gzipped('9.9.9.9'), bomb)))
    await until(() => all.filter(({ answer }) => answer() !== '').length >= 25)
    const refused = all.map(({ answer }) => parseRaw(answer())).filter(({ status }) => status === 429)
    expect(refused).toHaveLength(25)
    expect(refused[0]?.body).toMatch(/your address.*share of \d+ bytes/)
    expect(refused[0]?.head).toContain('retry-after: 1')
    // All of them would be 260 MB. A client's share is 12 MB; the rest is what was read of the others before they were
    // refused, until it is collected: 61 MB were seen.
    expect(memory() - before).toBeLessThan(130e6)
    expect((await post('/batch', '["8.8.8.8"]', { 'x-forwarded-for': '8.8.4.4' })).status).toBe(200)
    expect((await post('/tools/map', good, { 'x-forwarded-for': '8.8.4.4', 'content-encoding': 'gzip' })).status).toBe(
      200,
    )
  })

  test('in Brotli count with the window that inflates them', async () => {
    const begin = brotli(Buffer.alloc(10_000, '8.8.8.8\n'), 22).subarray(0, -4)
    const fields = ['Content-Encoding: br', 'X-Forwarded-For: 9.9.8.8']
    const all = await Promise.all(Array.from({ length: 10 }, () => unfinished(portOf(), fields, begin)))
    const refused = () => all.filter(({ answer }) => parseRaw(answer()).status === 429).length
    await until(() => refused() === 7)
  })

  test('of many clients are within the room for all', async () => {
    const before = memory()
    const from = Array.from({ length: 26 }, (_, index) => `9.9.${index}.9`)
    const all = await Promise.all(from.map((address) => unfinished(portOf(), gzipped(address), bomb)))
    await until(() => all.filter(({ answer }) => answer() !== '').length >= 20)
    const answers = all.filter(({ answer }) => answer() !== '').map(({ answer }) => parseRaw(answer()))
    const refused = answers.filter(({ status }) => status === 503)
    expect(refused.length).toBeGreaterThan(0)
    // On a machine that stands still for a while, some have sent nothing for too long.
    expect(answers.filter(({ status }) => status === 408).length + refused.length).toBe(answers.length)
    expect(refused[0]?.body).toContain('BODIES_MAX_BYTES')
    expect(memory() - before).toBeLessThan(150e6)
    // Room is given back when they are gone.
    for (const { socket } of all) socket.destroy()
    await until(async () => (await post('/tools/map', good, { 'content-encoding': 'gzip' })).status === 200)
  })

  test('are given up when nothing more comes', async () => {
    const { socket, answer } = await unfinished(portOf(), [], '["8.8')
    await once(socket, 'close')
    expect(parseRaw(answer())).toMatchObject({ status: 408, head: expect.stringContaining('connection: close') })
  })
})

describe('a refused body', () => {
  test.each<[string, string, Buffer | string, Record<string, string>, number, RegExp]>([
    ['over the limit of a batch', '/batch', Buffer.alloc(1_048_577, 'x'), {}, 413, /limit of 1048576 bytes/],
    ['over it in chunks', '/batch', Buffer.alloc(1_048_577, 'x'), { 'transfer-encoding': 'chunked' }, 413, /limit of/],
    [
      'over it when inflated',
      '/batch',
      gzipSync(Buffer.alloc(1_048_577, 'x')),
      { 'content-encoding': 'gzip' },
      413,
      /limit/,
    ],
    ['over the limit of a tool', '/tools/map', Buffer.alloc(10_485_761, 'x'), {}, 413, /limit of 10485760 bytes/],
    ['that is no gzip', '/batch', '["8.8.8.8"]', { 'content-encoding': 'gzip' }, 400, /Content-Encoding/],
    [
      'that is cut short',
      '/batch',
      gzipSync('["8.8.8.8"]').subarray(0, 20),
      { 'content-encoding': 'gzip' },
      400,
      /Enc/,
    ],
    ['in Brotli with a large window', '/batch', brotli('["8.8.8.8"]', 24), { 'content-encoding': 'br' }, 415, /4 MiB/],
    ['of an unknown coding', '/batch', '["8.8.8.8"]', { 'content-encoding': 'compress' }, 415, /gzip, deflate or br/],
  ])('%s is told why, and is one line in the log', async (_what, path, body, headers, status, message) => {
    const lines = fleet.replicas[0]?.output().split('\n').length ?? 0
    const reply = await post(path, body, headers)
    expect([reply.status, reply.text]).toEqual([status, expect.stringMatching(message)])
    await fleet.ask('/8.8.8.8')
    const said =
      fleet.replicas[0]
        ?.output()
        .split('\n')
        .slice(lines - 1) ?? []
    expect(said.filter((line) => line !== '' && !line.startsWith('{'))).toEqual([])
  })

  test.each([['gzip'], ['x-gzip'], ['GZIP'], ['br'], ['identity']])('a body in %s is read', async (coding) => {
    const items = '["8.8.8.8"]'
    const body = coding === 'identity' ? items : coding === 'br' ? brotli(items, 22) : gzipSync(items)
    expect((await post('/batch', body, { 'content-encoding': coding })).json()).toMatchObject({ '8.8.8.8': {} })
  })
})

test('200 pipelined requests are answered in their order', async () => {
  const requests = Array.from({ length: 200 }, (_, index) => `GET /9.8.7.${index}/ip HTTP/1.1\r\nHost: a\r\n\r\n`)
  const { answers } = await converse(portOf(), requests.join(''), { answers: 200 })
  expect(answers.map(({ body }) => body)).toEqual(requests.map((_, index) => `9.8.7.${index}\n`))
})
