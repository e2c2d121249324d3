import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { observeRedis } from '@ipfleet/testing/redis-observer.ts'
import { until } from '@ipfleet/testing/until.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { addressLines, type Answer, ApiHarness } from './api-harness.ts'

/** Bodies of all kinds, and what is left of those that do not come in well: nothing. */
let harness: ApiHarness
beforeAll(async () => {
  harness = await ApiHarness.start({ maxLines: 50_000 })
})
afterAll(() => harness[Symbol.asyncDispose]())

const post = (body: string | Buffer, type = 'text/plain', query = '', headers = {}): Promise<Answer> =>
  harness.ask(`/jobs${query}`, { method: 'POST', headers: { 'content-type': type, ...headers }, body })
const gz = { 'content-encoding': 'gzip' }

const keyed = (key: string, body: string | Readable = '8.8.8.8\n', path = '/jobs'): Promise<Answer> =>
  harness.post(body, path, { 'idempotency-key': key })

const headThatAsks = (type: string): string =>
  `POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nContent-Length: 7\r\nExpect: 100-continue\r\n\r\n`

/** Keys of jobs and names in Redis. */
async function keysLeft(of = harness): Promise<string[]> {
  await using observer = await observeRedis(of.redis.url)
  return (await observer.call('KEYS', 'ipfleet:bulk:*')) as string[]
}

async function* endless(piece: Buffer): AsyncGenerator<Buffer> {
  for (;;) {
    yield piece
    await delay(1)
  }
}

describe('a bad body is refused, clearly, and leaves nothing', () => {
  let before: number
  beforeEach(async () => {
    before = (await keysLeft()).length
  })
  afterEach(() => until(async () => harness.submitted.length === 0 && (await keysLeft()).length === before))

  test.each<[string, () => Promise<Answer>, number, RegExp]>([
    ['nothing', () => post(''), 400, /no addresses/],
    ['an empty array', () => post('[]', 'application/json'), 400, /no addresses/],
    ['a gzip of nothing', () => post(gzipSync('')), 400, /no addresses/],
    ['an image', () => post('x', 'image/png'), 415, /text\/plain/],
    ['a form', () => post('x', 'multipart/form-data; boundary=a'), 415, /curl --data-binary/],
    ['an unknown format', () => post('x', 'text/plain', '?format=xml'), 400, /format is one of/],
    [
      'an unknown coding',
      () => post('x', 'text/plain', '', { 'content-encoding': 'compress' }),
      415,
      /Content-Encoding/,
    ],
    ['a broken gzip', () => post('no gzip', 'text/plain', '', gz), 400, /gzip body is broken/],
    ['half a gzip', () => post(gzipSync(addressLines(9000)).subarray(0, 5000)), 400, /cut short/],
    ['a gzip with a flipped bit', () => post(flipped(gzipSync(addressLines(9000)))), 400, /gzip body is broken/],
    ['an unknown column', () => post('ip,b\n8.8.8.8,x\n', 'text/csv', '?column=nope'), 400, /column/],
    ['a column of lines', () => post('8.8.8.8', 'text/plain', '?column=a'), 400, /no columns/],
    ['half an array', () => post('["8.8.8.8", ', 'application/json'), 400, /JSON/i],
    ['an object', () => post('{"a":1}', 'application/json'), 400, /array/],
    ['too many lines', () => post(addressLines(50_001)), 413, /more than 50000 .*BULK_MAX_LINES/],
    [
      'too many bytes',
      () => post(`8.8.8.8,${'x'.repeat(60_000)}\n`.repeat(520), 'text/csv'),
      413,
      /BULK_MAX_BODY_BYTES/,
    ],
    [
      'blanks before an array',
      () => post(`${' '.repeat(70_000)}["8.8.8.8"]`, 'application/json'),
      413,
      /space after element 0/,
    ],
    ['blanks in an array', () => post(`["8.8.8.8",${'\n'.repeat(70_000)}`, 'application/json'), 413, /after element 1/],
    [
      'blanks after an array',
      () => post(`["8.8.8.8"]${'\t'.repeat(70_000)}`, 'application/json'),
      413,
      /after element 1/,
    ],
    [
      'an Idempotency-Key too long',
      () => post('x', 'text/plain', '', { 'idempotency-key': 'k'.repeat(256) }),
      400,
      /255/,
    ],
    ['an empty Idempotency-Key', () => post('x', 'text/plain', '', { 'idempotency-key': '""' }), 400, /255/],
  ])('%s', async (_what, send, status, message) => {
    const answer = await send()
    expect([answer.status, answer.headers['content-type']]).toEqual([status, 'application/json; charset=utf-8'])
    expect(answer.json()).toEqual({
      status,
      error: { title: expect.any(String), message: expect.stringMatching(message) },
    })
  })

  test.each([
    ['gzip', gzipSync],
    ['several gzip files', (lines: string) => Buffer.concat(Array<Buffer>(20).fill(gzipSync(lines.slice(0, 300_000))))],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ])('that inflates without end: %s', async (coding, pack) => {
    const named = coding.includes(' ') ? {} : { 'content-encoding': coding }
    const answer = await post(pack(`${'x'.repeat(59_999)}\n`.repeat(100)), 'text/plain', '', named)
    expect([answer.status, answer.json().error.message]).toEqual([
      413,
      expect.stringMatching(/50 .*BULK_MAX_INFLATION/),
    ])
  })

  test.each<[string, AsyncIterable<Buffer> | Iterable<Buffer>, number]>([
    ['a line of 100 MB', Array.from({ length: 100 }, () => Buffer.alloc(1024 * 1024, 'x')), 413],
    ['lines without end', endless(Buffer.from(addressLines(5000))), 413],
    ['an array without end, broken', endless(Buffer.from('["8.8.8.8",}')), 400],
  ])('%s: who is still sending gets the answer', async (_what, pieces, status) => {
    const type = _what.includes('array') ? 'application/json' : 'text/plain'
    const req = request(`${harness.url}/jobs`, { method: 'POST', headers: { 'content-type': type } })
    req.on('error', () => {})
    Readable.from(pieces).pipe(req)
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    expect([res.statusCode, res.headers.connection]).toEqual([status, 'close'])
    expect(JSON.parse((await res.setEncoding('utf8').toArray()).join(''))).toMatchObject({ status })
    req.destroy()
  })

  test('a client that sends no more is given up', async () => {
    await using hasty = await ApiHarness.start({ uploads: { stallMs: 400 } })
    const wire = await Wire.to(hasty.port)
    wire.write('POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n8.8.8.8\n')
    await wire.saw(/^HTTP\/1\.1 408 [^]*did not arrive in time/)
    expect(await wire.ended).toBe('closed')
    await until(async () => (await keysLeft(hasty)).length === 0)
    wire.destroy()
  })

  test('a client that takes too long is given up, however steadily bytes come', async () => {
    await using hasty = await ApiHarness.start({ uploads: { maxMs: 100 } })
    const body = Readable.from(endless(Buffer.from('8.8.8.8\n')))
    const req = request(`${hasty.url}/jobs`, { method: 'POST' }).on('error', () => {})
    body.pipe(req)
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    expect([res.statusCode, await text(res)]).toEqual([408, expect.stringContaining('BULK_UPLOAD_TIMEOUT_SECONDS')])
    req.destroy()
    body.destroy()
  })

  test('a client that leaves is forgotten', async () => {
    const wire = await Wire.to(harness.port)
    const lines = addressLines(3000)
    wire.write(`POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\nIdempotency-Key: gone\r\n\r\n${lines}`)
    await until(async () => (await keysLeft()).some((key) => key.endsWith(':chunks')))
    wire.reset()
  })

  test('chunks that are none: one 400, and the end of the connection', async () => {
    const wire = await Wire.to(harness.port)
    wire.write('POST /jobs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n8.8.8.8\r\n')
    await until(async () => (await keysLeft()).length > before)
    wire.write('zz\r\n')
    expect(await wire.ended).toBe('closed')
    expect(wire.text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 400'])
    wire.destroy()
  })

  test('what follows a refused body on its connection is not acted upon', async () => {
    const wire = await Wire.to(harness.port)
    const next = 'POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n8.8.8.8'
    wire.write(`POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nContent-Length: 9\r\n\r\n123`)
    await wire.saw('HTTP/1.1 415')
    wire.write(`456789${next}`)
    expect(await wire.ended).toBe('closed')
    expect(wire.text).not.toContain('HTTP/1.1 202')
    wire.destroy()
  })
})

test('while a body is inflated, others are served', async () => {
  const rows = Array.from({ length: 300 }, (_, at) => `8.8.8.8,${at}${randomBytes(6000).toString('base64')}\n`)
  const large = post(gzipSync(rows.join('')), 'text/csv', '?column=1', gz)
  const progress = { isOver: false }
  void large.finally(() => (progress.isOver = true))
  let served = 0
  while (!progress.isOver) {
    expect((await harness.ask('/jobs?limit=1')).status).toBe(200)
    served += 1
  }
  expect((await large).json()).toMatchObject({ lines: { total: 300 } })
  expect(served).toBeGreaterThan(5)
})

describe('a good one', () => {
  test.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ])('may be packed with %s', async (coding, pack) => {
    const answer = await harness.post(pack(addressLines(2500)), '/jobs', { 'content-encoding': coding })
    expect([answer.status, answer.json().lines.total]).toEqual([202, 2500])
  })

  test('may come slower than a request usually may, as long as it moves', async () => {
    await using strict = await ApiHarness.start({ uploads: { stallMs: 1500 } })
    const slow = new PassThrough()
    const answer = strict.post(slow)
    for (let turn = 0; turn < 6; turn += 1) {
      slow.write(addressLines(100))
      await delay(500)
    }
    slow.end()
    expect((await answer).json().lines.total).toBe(600)
  })

  test('stays in the store for as long as it comes in', async () => {
    await using own = await ApiHarness.start({ stillThereMs: 50 })
    const body = new PassThrough()
    const answer = own.post(body)
    body.write(addressLines(1001))
    const chunks = await until(async () => (await keysLeft(own)).find((key) => key.endsWith(':chunks')))
    const job = chunks.replace(/:chunks$/, '')
    await own.link.run((client) => client.pexpire(job, 20_000))
    await until(async () => (await own.link.run((client) => client.pttl(job))) > 20_000)
    body.end()
    expect((await answer).status).toBe(202)
  })

  test('that asks first is told to go on, and is refused before it is sent', async () => {
    const wire = await Wire.to(harness.port)
    wire.write(headThatAsks('text/plain'))
    await wire.saw('HTTP/1.1 100 Continue')
    wire.write('8.8.8.8')
    await wire.saw('HTTP/1.1 202')
    wire.destroy()
    const refused = await Wire.to(harness.port)
    refused.write(headThatAsks('image/png'))
    expect(await refused.saw('HTTP/1.1 415')).not.toContain('100 Continue')
    refused.destroy()
  })

  test('outlasts a Redis that is away for a moment', async () => {
    await using own = await ApiHarness.start({ redisTimeoutMs: 3000 })
    const body = new PassThrough()
    const answer = own.post(body)
    body.write(addressLines(5000))
    await until(async () => (await keysLeft(own)).some((key) => key.endsWith(':chunks')))
    await own.redis.pause()
    body.write(addressLines(5000))
    await until(() => !own.link.up)
    await own.redis.resume()
    body.end(addressLines(5000))
    const { status, json } = await answer
    expect([status, json().lines.total]).toEqual([202, 15_000])
    await until(() => own.link.up)
    expect(await own.finishAll(json().id)).toHaveLength((await own.ask(`/jobs/${json().id}/results`)).text.length)
  })
})

describe('an Idempotency-Key', () => {
  test('makes a repeated request the same job, done once', async () => {
    const first = await keyed('"a-1"')
    const { length } = harness.submitted
    const second = await keyed('a-1')
    expect([first.status, second.status]).toEqual([202, 202])
    expect(second.json().id).toBe(first.json().id)
    expect([first.headers['idempotency-replayed'], second.headers['idempotency-replayed']]).toEqual([undefined, 'true'])
    expect(second.headers.location).toBe(`/jobs/${first.json().id}`)
    expect(harness.submitted).toHaveLength(length)
  })

  test.each([
    ['another body', '1.1.1.1\n', '/jobs'],
    ['other fields', '8.8.8.8\n', '/jobs?fields=city'],
    ['another callback', '8.8.8.8\n', '/jobs?callback=https://me.example/'],
    ['another form', '8.8.8.8\n', '/jobs?format=csv'],
  ])('with %s is 422', async (what, body, path) => {
    await keyed(`b-${what}`)
    const answer = await keyed(`b-${what}`, body, path)
    expect([answer.status, answer.json().error.title]).toEqual([422, 'Idempotency-Key used before'])
  })

  test('of a request that is still coming in is 409, for a second', async () => {
    const body = new PassThrough()
    const first = keyed('c-1', body)
    body.write('8.8.8.8\n')
    const second = await until(async () => {
      const answer = await keyed('c-1', '9.9.9.9\n')
      return answer.status === 409 && answer
    })
    expect([second.headers['retry-after'], second.json().error.title]).toEqual(['1', 'Conflict'])
    body.end()
    expect((await first).status).toBe(202)
    expect((await keyed('c-1')).json().id).toBe((await first).json().id)
  })

  test('of several at once makes one job', async () => {
    const { length } = harness.submitted
    const answers = await Promise.all(Array.from({ length: 8 }, () => keyed('d-1')))
    expect(answers.filter(({ status }) => status !== 202 && status !== 409)).toEqual([])
    expect(new Set(answers.filter(({ status }) => status === 202).map(({ json }) => json().id)).size).toBe(1)
    expect(harness.submitted).toHaveLength(length + 1)
  })

  test('of a request that failed, or of a job that was removed, is free again', async () => {
    expect((await keyed('e-1', '')).status).toBe(400)
    const { id } = (await keyed('e-1')).json()
    await harness.finishAll(id)
    await harness.ask(`/jobs/${id}`, { method: 'DELETE' })
    const again = await keyed('e-1', '1.1.1.1\n')
    expect(again.status).toBe(202)
    expect(again.json().id).not.toBe(id)
  })

  test('is not to be read in Redis', async () => {
    await keyed('a-secret-key')
    await using observer = await observeRedis(harness.redis.url)
    expect(await observer.dump()).not.toContain('a-secret-key')
  })
})

describe('without a store', () => {
  test('that is away all is 503 with Retry-After, and nothing hangs', async () => {
    await using alone = await ApiHarness.start()
    const id = await alone.job(10)
    await alone.redis.kill()
    await until(() => !alone.link.up)
    for (const [method, path] of [
      ['POST', '/jobs'],
      ['GET', '/jobs'],
      ['GET', `/jobs/${id}`],
      ['DELETE', `/jobs/${id}`],
      ['GET', `/jobs/${id}/results`],
      ['GET', `/jobs/${id}/events`],
    ] as const) {
      const answer = await alone.ask(path, { method, ...(method === 'POST' && { body: '8.8.8.8' }) })
      expect([method, path, answer.status, answer.headers['retry-after']]).toEqual([method, path, 503, '5'])
      expect(answer.json().error.title).toBe('Store away')
    }
  })

  test('that has no memory left a body is 503, and its room is free again', async () => {
    await using small = await ApiHarness.start({
      maxBytes: 100_000_000,
      redisArgs: ['--maxmemory', '4mb', '--maxmemory-policy', 'noeviction'],
    })
    const body = Readable.from(
      (function* () {
        for (let turn = 0; turn < 900; turn += 1) yield junk()
      })(),
    )
    const answer = await small.post(body)
    expect([answer.status, answer.headers['retry-after']]).toEqual([503, '60'])
    expect(answer.json().error.title).toBe('Store full')
    expect((await small.post('8.8.8.8')).status).toBe(202)
  })
})

/** Such as cannot be compressed. */
const junk = (): string => Array.from({ length: 1000 }, () => `${Math.random()}${Math.random()}\n`).join('')

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  const middle = Math.floor(copy.length / 2)
  copy[middle] = (copy[middle] ?? 0) ^ 0xff
  return copy
}
