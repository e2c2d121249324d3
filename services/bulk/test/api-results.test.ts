import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { createGunzip, gunzipSync } from 'node:zlib'
import { IpSummary } from '@ipfleet/ip-lists/ip-summary.ts'
import { until } from '@ipfleet/testing/until.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { JobNames } from '../src/jobs/job-keys.ts'
import { addressOf, type Answer, ApiHarness, cityOf } from './api-harness.ts'

/** Results over HTTP: in the order of the inputs, also while the job is under way. */
let harness: ApiHarness
beforeAll(async () => {
  harness = await ApiHarness.start()
})
afterAll(() => harness[Symbol.asyncDispose]())

const resultsOf = (id: string, query = ''): string => `/jobs/${id}/results${query}`
const linesIn = (text: string): string[] => text.split('\n').slice(0, -1)

const part = (id: string, range: string, headers = {}, query = ''): Promise<Answer> =>
  harness.ask(resultsOf(id, query), { headers: { range, ...headers } })

/** What has come of a stream so far. */
function collected(stream: NodeJS.ReadableStream): { text: string; readonly end: Promise<'ended' | 'cut'> } {
  const seen = { text: '', end: Promise.resolve<'ended' | 'cut'>('cut') }
  stream.on('data', (bytes: Buffer) => (seen.text += bytes.toString('latin1')))
  seen.end = new Promise((resolve) => {
    stream.on('end', () => resolve('ended'))
    stream.on('error', () => resolve('cut'))
    stream.on('close', () => resolve('cut'))
  })
  return seen
}

async function completed(lines: number | string, path = '/jobs'): Promise<{ id: string; all: string }> {
  const id = await harness.job(lines, path)
  return { id, all: await harness.finishAll(id) }
}

describe('of a completed job', () => {
  test('are all lines, in order, with length, tag and a name for the file', async () => {
    const { id, all } = await completed(2300)
    const answer = await harness.ask(resultsOf(id))
    expect(answer.text).toBe(all)
    expect(linesIn(answer.text).map((line) => JSON.parse(line).input)).toEqual(
      Array.from({ length: 2300 }, (_, number) => addressOf(number)),
    )
    expect(answer.headers).toMatchObject({
      'content-type': 'application/x-ndjson',
      'content-length': String(Buffer.byteLength(all)),
      'content-disposition': `attachment; filename="${id}.ndjson"`,
      'accept-ranges': 'bytes',
      'cache-control': 'private, no-cache',
      etag: `"${id}-ndjson"`,
    })
    expect(answer.headers.link).toBeUndefined()
  })

  test('have the same head without a body', async () => {
    const { id, all } = await completed(3)
    const answer = await harness.ask(resultsOf(id), { method: 'HEAD' })
    expect([answer.status, answer.headers['content-length'], answer.text]).toEqual([
      200,
      String(Buffer.byteLength(all)),
      '',
    ])
  })

  test('are not sent again to who has them', async () => {
    const { id } = await completed(3)
    const { headers } = await harness.ask(resultsOf(id, '?format=csv'))
    const again = await harness.ask(resultsOf(id, '?format=csv'), { headers: { 'if-none-match': headers.etag } })
    expect([again.status, again.text]).toEqual([304, ''])
    const other = await harness.ask(resultsOf(id), { headers: { 'if-none-match': headers.etag } })
    expect(other.status).toBe(200)
  })

  test('can be had from a cursor on, wherever it falls', async () => {
    const { id, all } = await completed(2300)
    for (const cursor of [1, 999, 1000, 1001, 2299, 2300]) {
      const answer = await harness.ask(resultsOf(id, `?cursor=${cursor}`))
      expect([cursor, answer.text === all.split('\n').slice(cursor).join('\n')]).toEqual([cursor, true])
    }
  })

  test('are not an empty answer when they have expired and the job has not yet', async () => {
    const { id } = await completed(1500)
    await harness.link.run((client) => client.del(new JobNames(harness.link.names).keysOf(id).bytes))
    for (const query of ['', '?follow=1', '?format=csv']) {
      expect([query, (await harness.ask(resultsOf(id, query))).status]).toEqual([query, 404])
    }
  })

  test('follow=1 is the same', async () => {
    const { id, all } = await completed(1200)
    expect((await harness.ask(resultsOf(id, '?follow=1'))).text).toBe(all)
  })

  test.each(['cursor=4', 'cursor=x', 'cursor=-1', 'format=xml', 'format=NDJSON'])('?%s is 400', async (query) => {
    const { id } = await completed(3)
    const answer = await harness.ask(resultsOf(id, `?${query}`))
    expect([answer.status, answer.json().error.title]).toEqual([400, 'Bad request'])
    expect(answer.headers['content-disposition']).toBeUndefined()
  })
})

describe('as CSV', () => {
  test('have a header, and what is odd in quotes', async () => {
    const { id } = await completed('8.8.8.8\n"x", y\n\n 1.1.1.1 \n')
    const answer = await harness.ask(resultsOf(id, '?format=csv'))
    expect(answer.headers['content-type']).toBe('text/csv; charset=utf-8; header=present')
    expect(answer.headers['content-disposition']).toContain('.csv"')
    expect(answer.text).toBe(
      [
        'input,ip,hostname,bogon,anycast,city,region,country,loc,org,postal,timezone,error',
        `8.8.8.8,8.8.8.8,,,,"City of 8.8.8.8, ""Ü""",,,,,,,`,
        '"""x"", y",,,,,,,,,,,,Wrong ip',
        ',,,,,,,,,,,,Wrong ip',
        ` 1.1.1.1 ,1.1.1.1,,,,"City of 1.1.1.1, ""Ü""",,,,,,,`,
        '',
      ].join('\n'),
    )
  })

  test('have the columns that the job asked for, nested ones as JSON', async () => {
    const { id } = await completed('8.8.8.8\n', '/jobs?fields=asn.name,asn,postal')
    expect((await harness.ask(resultsOf(id, '?format=csv'))).text).toBe(
      `input,asn.name,asn,postal,error\n8.8.8.8,Example,"{""name"":""Example"",""asn"":""AS64500""}",,\n`,
    )
  })

  test.each<[string, Record<string, string>, string, boolean]>([
    ['of a program', {}, '', false],
    ['of a browser', { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }, '', true],
    ['of a browser over HTTPS', { accept: '*/*', 'sec-fetch-dest': 'document' }, '', true],
    ["of a page's script", { accept: 'text/html', 'sec-fetch-dest': 'empty' }, '', false],
    ['of who asks for it', {}, '&spreadsheet=1', true],
    ['of who does without', { accept: 'text/html' }, '&spreadsheet=0', false],
  ])('guard formulas in the download %s', async (_who, headers, query, isGuarded) => {
    const inputs = ['=cmd|x!A0', '+1', '-1+1', '@SUM(A1)', '\tx', '\rx', '\uff1d1', '8.8.8.8']
    const { id } = await completed(JSON.stringify(inputs), '/jobs?fields=city&format=json')
    const answer = await harness.ask(resultsOf(id, `?format=csv${query}`), { headers })
    const guard = isGuarded ? "'" : ''
    const firstCells = answer.text.match(/^"?[^,]*/gm) ?? []
    for (const input of inputs.slice(0, -1)) expect(answer.text).toContain(`${guard}${input}`)
    expect(firstCells.filter((cell) => /^"?[=+\-@\t\r\uff1d]/.test(cell))).toHaveLength(isGuarded ? 0 : 7)
    expect(answer.headers.vary).toContain('Sec-Fetch-Dest')
    expect(answer.headers.etag).toBe(`"${id}-csv${isGuarded ? '-spreadsheet' : ''}"`)
    expect((await harness.ask(resultsOf(id, `?${query}`), { headers })).text).toContain('{"input":"=cmd|x!A0"')
  })

  test('go on after a cursor without a second header', async () => {
    const { id } = await completed(1500)
    const all = (await harness.ask(resultsOf(id, '?format=csv'))).text
    const rest = (await harness.ask(resultsOf(id, '?format=csv&cursor=1200'))).text
    expect(linesIn(all)).toHaveLength(1501)
    expect(linesIn(rest)).toEqual(linesIn(all).slice(1201))
  })
})

describe('as JSON', () => {
  test('are one array', async () => {
    const { id, all } = await completed(2100)
    const answer = await harness.ask(resultsOf(id, '?format=json'))
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8')
    expect(answer.json()).toEqual(linesIn(all).map((line) => JSON.parse(line) as unknown))
    expect(answer.json()[0].city).toBe(cityOf(addressOf(0)))
    expect((await harness.ask(resultsOf(id, '?format=json&cursor=2100'))).json()).toEqual([])
  })
})

describe('under way', () => {
  test('end before the first chunk that is not done, and say where to go on', async () => {
    const id = await harness.job(3500)
    const none = await harness.ask(resultsOf(id))
    expect([none.status, none.text, none.trailers['ipfleet-next-cursor']]).toEqual([200, '', '0'])
    const first = await harness.finish(id, 0)
    await harness.finish(id, 2)
    const answer = await harness.ask(resultsOf(id, '?format=ndjson&x=y'))
    expect(answer.text).toBe(first)
    expect(answer.headers.link).toBe(`<${resultsOf(id)}?format=ndjson&cursor=1000>; rel="next"`)
    expect(answer.trailers['ipfleet-next-cursor']).toBe('1000')
    expect([answer.headers.etag, answer.headers['content-length']]).toEqual([undefined, undefined])

    const second = await harness.finish(id, 1)
    const next = await harness.ask(resultsOf(id, '?cursor=1000'))
    expect(linesIn(next.text)).toHaveLength(2000)
    expect(next.text.startsWith(second)).toBe(true)
    expect(next.trailers['ipfleet-next-cursor']).toBe('3000')
    const last = await harness.finish(id, 3)
    const rest = await harness.ask(resultsOf(id, '?cursor=3000'))
    expect([rest.text, rest.headers.link]).toEqual([last, undefined])
  })

  test('are answered to HTTP/1.0 as well', async () => {
    const id = await harness.job(1500)
    const first = await harness.finish(id, 0)
    const wire = await Wire.to(harness.port)
    wire.write(`GET ${resultsOf(id)} HTTP/1.0\r\n\r\n`)
    expect(await wire.ended).toBe('closed')
    expect(wire.text).toMatch(/^HTTP\/1\.1 200 /)
    expect(wire.text.endsWith(`\r\n\r\n${Buffer.from(first).toString('latin1')}`)).toBe(true)
    wire.destroy()
  })

  test.each(['ndjson', 'csv', 'json'])('follow=1 waits for the rest, in order (%s)', async (format) => {
    const id = await harness.job(4200)
    const res = await harness.open(resultsOf(id, `?follow=1&format=${format}`))
    const seen = collected(res)
    await harness.finish(id, 2)
    await harness.finish(id, 0)
    await until(() => seen.text.includes(addressOf(999)))
    expect(seen.text).not.toContain(addressOf(2000))
    await harness.finish(id, 1)
    await until(() => seen.text.includes(addressOf(2999)))
    await harness.finish(id, 4)
    await harness.finish(id, 3)
    expect(await seen.end).toBe('ended')
    expect(seen.text).toBe((await harness.ask(resultsOf(id, `?format=${format}`))).bytes.toString('latin1'))
  })

  test('follow=1 from a cursor ahead of what is done', async () => {
    const id = await harness.job(2500)
    const seen = collected(await harness.open(resultsOf(id, '?follow=1&cursor=1700')))
    await harness.finish(id, 0)
    const second = await harness.finish(id, 1)
    const third = await harness.finish(id, 2)
    expect(await seen.end).toBe('ended')
    expect(seen.text).toBe(Buffer.from(linesIn(second).slice(700).join('\n') + '\n' + third).toString('latin1'))
  })

  test('follow=1 ends with what there is when the job is cancelled', async () => {
    const id = await harness.job(3000)
    const seen = collected(await harness.open(resultsOf(id, '?follow=1')))
    const first = await harness.finish(id, 0)
    const third = await harness.finish(id, 2)
    await harness.ask(`/jobs/${id}`, { method: 'DELETE' })
    expect(await seen.end).toBe('ended')
    expect(seen.text).toBe(Buffer.from(first + third).toString('latin1'))
    expect((await harness.ask(resultsOf(id))).text).toBe(first + third)
  })

  test('follow=1 is cut off, not ended, when the job goes', async () => {
    const id = await harness.job(3000)
    const seen = collected(await harness.open(resultsOf(id, '?follow=1')))
    await harness.finish(id, 0)
    await until(() => seen.text.includes(addressOf(999)))
    await harness.store.remove(id, 'everyone')
    expect(await seen.end).toBe('cut')
  })

  test('follow=1 outlasts a Redis that is away for a moment', async () => {
    await using own = await ApiHarness.start({ redisTimeoutMs: 3000 })
    const id = await own.job(1500)
    const seen = collected(await own.open(resultsOf(id, '?follow=1')))
    const first = await own.finish(id, 0)
    await until(() => seen.text.length === Buffer.byteLength(first))
    await own.redis.pause()
    await until(() => !own.link.up)
    await own.redis.resume()
    await until(() => own.link.up)
    await own.finish(id, 1)
    expect(await seen.end).toBe('ended')
    expect(linesIn(seen.text)).toHaveLength(1500)
  })

  test('a client that leaves is not followed any more', async () => {
    const id = await harness.job(2000)
    const res = await harness.open(resultsOf(id, '?follow=1'))
    res.destroy()
    await until(() => harness.logged.some((line) => line.includes(id) && line.includes('"status":499')))
  })
})

describe('by ranges', () => {
  test('a download that is taken up again is the whole, byte for byte', async () => {
    const { id } = await completed(3300)
    const whole = (await harness.ask(resultsOf(id))).bytes
    const wire = await Wire.to(harness.port)
    wire.socket.pause()
    wire.write(`GET ${resultsOf(id)} HTTP/1.1\r\nHost: a\r\n\r\n`)
    wire.socket.resume()
    await wire.saw(/\r\n\r\n[^]{50000}/)
    wire.reset()
    const head = Buffer.from(wire.text.slice(wire.text.indexOf('\r\n\r\n') + 4), 'latin1')
    const rest = await part(id, `bytes=${head.length}-`, { 'if-range': `"${id}-ndjson"`, 'accept-encoding': 'gzip' })
    expect(rest.status).toBe(206)
    expect(rest.headers['content-range']).toBe(`bytes ${head.length}-${whole.length - 1}/${whole.length}`)
    expect(rest.headers['content-encoding']).toBeUndefined()
    expect(Buffer.concat([head, rest.bytes]).equals(whole)).toBe(true)
  })

  test('any part can be had', async () => {
    const { id, all } = await completed(2300)
    const whole = Buffer.from(all)
    const firstChunk = Buffer.byteLength(all.split('\n').slice(0, 1000).join('\n')) + 1
    const spans = [
      [0, 0],
      [0, firstChunk - 1],
      [firstChunk, firstChunk],
      [firstChunk - 1, firstChunk],
      [5, whole.length - 6],
      [whole.length - 1, whole.length + 100],
    ] as const
    for (const [first, last] of spans) {
      const answer = await part(id, `bytes=${first}-${last}`)
      const wanted = whole.subarray(first, last + 1)
      expect(answer.headers['content-range']).toBe(`bytes ${first}-${first + wanted.length - 1}/${whole.length}`)
      expect([first, last, answer.bytes.equals(wanted)]).toEqual([first, last, true])
      expect(answer.headers['content-length']).toBe(String(wanted.length))
    }
    expect((await part(id, 'bytes=-100')).bytes.equals(whole.subarray(-100))).toBe(true)
  })

  test('what is behind the end is 416, with the length', async () => {
    const { id, all } = await completed(3)
    const answer = await part(id, `bytes=${Buffer.byteLength(all)}-`)
    expect([answer.status, answer.headers['content-range']]).toEqual([416, `bytes */${Buffer.byteLength(all)}`])
    expect(answer.json().error.title).toBe('Range not satisfiable')
  })

  test('who has all of it gets no part of it', async () => {
    const { id, all } = await completed(3)
    const tag = `"${id}-ndjson"`
    for (const range of ['bytes=5-', `bytes=${Buffer.byteLength(all)}-`]) {
      expect((await part(id, range, { 'if-none-match': `"other", ${tag}` })).status).toBe(304)
    }
    expect((await part(id, 'bytes=5-', { 'if-none-match': '"other"' })).status).toBe(206)
  })

  test.each(['bytes=2-1', 'bytes=0-1,5-6', 'lines=1-', 'bytes=x-'])('%s is all', async (range) => {
    const { id, all } = await completed(3)
    const answer = await part(id, range)
    expect([answer.status, answer.text]).toEqual([200, all])
  })

  test('a tag that is not this one, another form and a cursor are answered whole', async () => {
    const { id, all } = await completed(3)
    expect((await part(id, 'bytes=5-', { 'if-range': '"other"' })).text).toBe(all)
    expect((await part(id, 'bytes=5-', {}, '?format=csv')).status).toBe(200)
    expect((await part(id, 'bytes=5-', {}, '?cursor=1')).status).toBe(200)
  })

  test('under way, what is there; and with follow=1 what comes', async () => {
    const id = await harness.job(2000)
    const early = await part(id, 'bytes=0-')
    expect([early.status, early.headers['content-range']]).toEqual([416, 'bytes */0'])
    const first = await harness.finish(id, 0)
    const length = Buffer.byteLength(first)
    const now = await part(id, 'bytes=100-')
    expect([now.status, now.headers['content-range']]).toEqual([206, `bytes 100-${length - 1}/*`])
    expect(now.bytes.equals(Buffer.from(first).subarray(100))).toBe(true)

    const waiting = part(id, `bytes=${length}-`, {}, '?follow=1')
    const second = await harness.finish(id, 1)
    const rest = await waiting
    expect([rest.status, rest.text]).toEqual([206, second])
  })
})

describe('with gzip', () => {
  const packed = { 'accept-encoding': 'gzip, br' }

  test.each(['ndjson', 'csv', 'json'])('are the same (%s), under a tag of their own', async (format) => {
    const { id } = await completed(2300)
    const plain = await harness.ask(resultsOf(id, `?format=${format}`))
    const answer = await harness.ask(resultsOf(id, `?format=${format}`), { headers: packed })
    expect(answer.headers).toMatchObject({
      'content-encoding': 'gzip',
      vary: expect.stringContaining('Accept-Encoding'),
    })
    expect(answer.headers['content-length']).toBeUndefined()
    expect(gunzipSync(answer.bytes).equals(plain.bytes)).toBe(true)
    expect(answer.bytes.length).toBeLessThan(plain.bytes.length / 3)
    expect(answer.headers.etag).not.toBe(plain.headers.etag)
    const again = { headers: { ...packed, 'if-none-match': answer.headers.etag } }
    expect((await harness.ask(resultsOf(id, `?format=${format}`), again)).status).toBe(304)
  })

  test('each chunk comes as soon as it is done', async () => {
    const id = await harness.job(2000)
    const res = await harness.open(resultsOf(id, '?follow=1'), { headers: packed })
    const seen = collected(res.pipe(createGunzip()))
    await harness.finish(id, 0)
    await until(() => seen.text.includes(addressOf(999)))
    await harness.finish(id, 1)
    expect(await seen.end).toBe('ended')
    expect(linesIn(seen.text)).toHaveLength(2000)
  })

  test('trailers come too', async () => {
    const id = await harness.job(1500)
    await harness.finish(id, 0)
    const answer = await harness.ask(resultsOf(id), { headers: packed })
    expect([linesIn(gunzipSync(answer.bytes).toString()).length, answer.trailers['ipfleet-next-cursor']]).toEqual([
      1000,
      '1000',
    ])
  })

  test('a job that goes cuts it off', async () => {
    const id = await harness.job(3000)
    const res = await harness.open(resultsOf(id, '?follow=1'), { headers: packed })
    const seen = collected(res)
    await harness.finish(id, 0)
    await until(() => seen.text.length > 0)
    await harness.store.remove(id, 'everyone')
    expect(await seen.end).toBe('cut')
  })
})

describe('a client that reads slowly', () => {
  // 22 MB; sockets and streams of both sides together hold a few.
  const chunkCount = 200
  const owner = 'everyone'
  // One chunk is as all others, and no two of them share what a compressor remembers.
  const body = Buffer.from(`${JSON.stringify({ input: '8.8.8.8', city: randomBytes(82_000).toString('base64') })}\n`)
  const bodyFrom = (index: number): Buffer => Buffer.concat(Array<Buffer>(chunkCount - index).fill(body))
  let id = ''
  beforeAll(async () => {
    const { store } = harness
    id = await store.open({ owner })
    for (let index = 0; index < chunkCount; index += 1) await store.add(id, index, ['8.8.8.8'])
    await store.seal(id, owner, '')
    const summary = new IpSummary().toPart()
    for (let index = 0; index < chunkCount; index += 1) {
      await store.finish(id, index, { summary, body, lines: 1, answered: 1, cached: 0, errors: {} })
    }
  })

  test('is waited for: what it does not take is not read', async () => {
    const { store } = harness
    const read = store.results.bind(store)
    let chunks = 0
    store.results = (of, indices) => {
      chunks += indices.length
      return read(of, indices)
    }
    const res = await harness.open(resultsOf(id))
    await once(res, 'readable')
    let before = -1
    await until(async () => {
      const isQuiet = chunks === before
      before = chunks
      await delay(200)
      return isQuiet
    })
    expect(chunks).toBeLessThan(150)
    expect((await buffer(res)).equals(bodyFrom(0))).toBe(true)
    expect(chunks).toBe(chunkCount)
    store.results = read
  })

  test('and then stops has its connection cut', async () => {
    await using hasty = await ApiHarness.start({ redis: harness.redis, maxStallMs: 500 })
    const res = await hasty.open(resultsOf(id))
    await once(res, 'readable')
    await until(() => hasty.logged.some((line) => line.includes(id) && line.includes('"status":499')))
    await expect(buffer(res)).rejects.toThrow('aborted')
  })

  test('gets the same compressed', async () => {
    const res = await harness.open(resultsOf(id, '?cursor=140'), { headers: { 'accept-encoding': 'gzip' } })
    await once(res, 'readable')
    expect(gunzipSync(await buffer(res)).equals(bodyFrom(140))).toBe(true)
  })
})

// The last one: it ends all streams of this harness.
test('a stop cuts off those who follow, and not those who load', async () => {
  const id = await harness.job(2000)
  const first = await harness.finish(id, 0)
  const seen = collected(await harness.open(resultsOf(id, '?follow=1')))
  await until(() => seen.text.length > 0)
  harness.streams.abort()
  expect(await seen.end).toBe('cut')
  expect((await harness.ask(resultsOf(id))).text).toBe(first)
})

test('a summary counts the results that there are, whatever the client has of them', async () => {
  const id = await harness.job(`8.8.8.8\n10.0.0.1\nnonsense\n8.8.8.8\n`)
  const summary = async () => (await harness.ask(`/jobs/${id}/summary`)).json() as object
  expect(await summary()).toMatchObject({ total: 0, unique: 0 })
  await harness.finishAll(id)
  expect(await summary()).toMatchObject({ total: 3, unique: 2, asns: { 'AS64500 Example': 3 } })
  expect((await harness.ask(`/jobs/${id}/summary`, { method: 'DELETE' })).status).toBe(405)
})
