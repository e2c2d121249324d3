import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { cacheStatus, httpClient, type LocalFleet, type Reply, startLocalFleet } from './local-fleet.ts'

/** What any IPinfo client may rely on besides the body: JSONP, validators, codings, CORS and HEAD. */
let fleet: LocalFleet
const direct = httpClient()
beforeAll(async () => {
  fleet = await startLocalFleet({ keys: ['only-key'] })
})
afterAll(() => {
  direct.close()
  return fleet.stop()
})

const isFromMemory = (reply: Reply): boolean => cacheStatus(reply).includes('detail=l1')
const tagOf = (reply: Reply): string => String(reply.headers.etag)

describe('JSONP', () => {
  test('wraps the finished answer as IPinfo does, out of the same entry', async () => {
    const plain = await fleet.ask('/9.9.1.1')
    const call = await fleet.ask('/9.9.1.1?callback=app.show')
    const upstreams = await direct.ask(fleet.fake.url, '/9.9.1.1?callback=app.show&token=only-key')
    expect([call.status, call.headers['content-type']]).toEqual([200, 'text/javascript; charset=utf-8'])
    expect(call.text).toBe(`/**/ typeof app.show === 'function' && app.show(${plain.text});`)
    expect(call.text).toBe(upstreams.text)
    expect(isFromMemory(call)).toBe(true)
    expect((await fleet.ask('/9.9.1.1')).text).toBe(plain.text)
  })

  test('a first query with a callback is cached without it', async () => {
    await fleet.ask('/9.9.1.2?callback=one')
    const other = await fleet.ask('/9.9.1.2/json?callback=other')
    expect(other.text).toMatch(/^\/\*\*\/ typeof other === 'function' && other\(\{/)
    expect(fleet.fake.callsTo('/9.9.1.2').map(({ path }) => path)).toEqual(['/9.9.1.2'])
  })

  test('text is no JSON and stays text', async () => {
    const reply = await fleet.ask('/9.9.1.1/country?callback=show')
    expect([reply.headers['content-type'], reply.text]).toEqual([
      'text/plain; charset=utf-8',
      expect.not.stringContaining('show'),
    ])
  })

  test.each(['alert(1)', '', 'a;b', '%3Cscript%3E', 'x'.repeat(129)])(
    'callback=%s is refused, before anyone is asked',
    async (name) => {
      const reply = await fleet.ask(`/9.9.1.3?callback=${name}`)
      expect([reply.status, reply.headers['content-type']]).toEqual([400, 'application/json; charset=utf-8'])
      expect(reply.text).not.toContain('script')
      expect(fleet.fake.callsTo('/9.9.1.3')).toHaveLength(0)
    },
  )

  test('each form has a tag of its own', async () => {
    const paths = ['/9.9.1.1', '/9.9.1.1?callback=a', '/9.9.1.1?callback=b']
    const tags = await Promise.all(paths.map(async (path) => tagOf(await fleet.ask(path))))
    expect(new Set(tags).size).toBe(3)
    const again = await fleet.ask('/9.9.1.1?callback=a', { headers: { 'if-none-match': tags[1] as string } })
    expect([again.status, again.text]).toEqual([304, ''])
  })
})

describe('conditional requests', () => {
  test('every 200 has a strong tag that is the same from upstream, memory and Redis', async () => {
    await fleet.join()
    const first = await fleet.ask('/9.9.2.1')
    const second = await fleet.ask('/9.9.2.1')
    const elsewhere = await fleet.ask('/9.9.2.1', { replica: 1 })
    expect(tagOf(first)).toMatch(/^"[\w-]{22}"$/)
    expect([tagOf(second), tagOf(elsewhere)]).toEqual([tagOf(first), tagOf(first)])
    expect(cacheStatus(elsewhere)).toContain('detail=l2')
  })

  test.each(['GET', 'HEAD'])('a %s for what the client has is answered with 304, out of memory too', async (method) => {
    const tag = tagOf(await fleet.ask('/9.9.2.2'))
    for (const held of [tag, `W/${tag}`, `"other", ${tag}`, '*']) {
      const reply = await fleet.ask('/9.9.2.2', { method, headers: { 'if-none-match': held } })
      expect([reply.status, reply.text, tagOf(reply)]).toEqual([304, '', tag])
      expect(isFromMemory(reply)).toBe(true)
      expect(reply.headers['access-control-allow-origin']).toBe('*')
      expect(reply.headers['age']).toMatch(/^\d+$/)
      expect([reply.headers['content-type'], reply.headers['content-length']]).toEqual([undefined, undefined])
    }
  })

  test('anything else is sent whole', async () => {
    const { text } = await fleet.ask('/9.9.2.2')
    const reply = await fleet.ask('/9.9.2.2', { headers: { 'if-none-match': '"other"' } })
    expect([reply.status, reply.text]).toEqual([200, text])
  })

  test('an answer straight from upstream can be a 304 as well', async () => {
    const tag = tagOf(await fleet.ask('/9.9.2.3'))
    const headers = { 'if-none-match': tag, 'cache-control': 'no-cache' }
    expect((await fleet.ask('/9.9.2.3', { headers })).status).toBe(304)
    expect(fleet.fake.callsTo('/9.9.2.3')).toHaveLength(2)
  })

  test('an error has no tag and is never a 304', async () => {
    for (const path of ['/9.9.2.999', '/9.9.2.4/nonsense']) {
      const reply = await fleet.ask(path, { headers: { 'if-none-match': '*' } })
      expect(reply.status).toBeGreaterThanOrEqual(400)
      expect(reply.headers.etag).toBeUndefined()
    }
  })

  test('the log and the metrics say 304', async () => {
    await fleet.replicas[0]?.waitForLine((line) => line['path'] === '/9.9.2.2' && line['status'] === 304)
    expect((await fleet.ask('/metrics')).text).toMatch(
      /ipfleet_requests_total\{route="lookup",status="3xx",cache="l1"\} \d/,
    )
  })
})

describe('compression', () => {
  const items = Array.from({ length: 100 }, (_, index) => `9.9.3.${index}`)
  const batch = (headers: Record<string, string> = {}, list = items): Promise<Reply> =>
    fleet.ask('/batch', { method: 'POST', body: JSON.stringify(list), headers })

  test('a large batch is sent in the coding that the client likes best, with a tag of its own', async () => {
    const plain = await batch()
    const gzip = await batch({ 'accept-encoding': 'gzip' })
    const br = await batch({ 'accept-encoding': 'gzip, br' })
    expect([plain, gzip, br].map(({ headers }) => headers['content-encoding'])).toEqual([undefined, 'gzip', 'br'])
    expect(gunzipSync(gzip.body)).toEqual(plain.body)
    expect(brotliDecompressSync(br.body)).toEqual(plain.body)
    expect(gzip.body.length).toBeLessThan(plain.body.length / 3)
    expect([tagOf(gzip), tagOf(br)]).toEqual([tagOf(plain).replace(/"$/, '-gzip"'), tagOf(plain).replace(/"$/, '-br"')])
    expect([plain, gzip, br].map(({ headers }) => headers.vary)).toEqual(Array(3).fill('Accept-Encoding'))
    expect(gzip.headers['content-length']).toBe(String(gzip.body.length))
  })

  test('who prefers no coding gets none', async () => {
    expect((await batch({ 'accept-encoding': 'gzip;q=0.1, identity' })).headers['content-encoding']).toBeUndefined()
  })

  test('a small answer is not worth it, and does not vary', async () => {
    const small = await batch({ 'accept-encoding': 'br' }, ['9.9.3.1'])
    const single = await fleet.ask('/9.9.3.1', { headers: { 'accept-encoding': 'br' } })
    for (const { headers } of [small, single])
      expect([headers['content-encoding'], headers.vary]).toEqual([undefined, undefined])
  })

  test('a large answer out of memory too, and its 304', async () => {
    const path = '/AS8'
    fleet.fake.behave({ kind: 'huge', bytes: 20_000, record: { asn: 'AS8' }, paths: [path] })
    const plain = await fleet.ask(path)
    const br = await fleet.ask(path, { headers: { 'accept-encoding': 'br' } })
    expect(isFromMemory(br)).toBe(true)
    expect(brotliDecompressSync(br.body)).toEqual(plain.body)
    const headers = { 'accept-encoding': 'br', 'if-none-match': tagOf(br) }
    const held = await fleet.ask(path, { headers })
    expect([held.status, tagOf(held), held.headers.vary]).toEqual([304, tagOf(br), 'Accept-Encoding'])
    expect((await fleet.ask(path, { headers: { ...headers, 'accept-encoding': 'gzip' } })).status).toBe(200)
    const head = await fleet.ask(path, { method: 'HEAD', headers: { 'accept-encoding': 'br' } })
    expect([head.headers['content-length'], head.body.length]).toEqual([String(br.body.length), 0])
    fleet.fake.heal()
  })
})

describe('every form', () => {
  test.each(['/9.9.4.1', '/9.9.4.1/city', '/9.9.4.1?callback=show', '/'])(
    'of %s says the same to HEAD as to GET, and lets any page read it',
    async (path) => {
      const [get, head] = [await fleet.ask(path), await fleet.ask(path, { method: 'HEAD' })]
      expect(head.body).toHaveLength(0)
      for (const name of ['content-type', 'content-length', 'etag', 'access-control-allow-origin', 'vary']) {
        expect([name, head.headers[name]]).toEqual([name, get.headers[name]])
      }
      expect(get.headers['access-control-allow-origin']).toBe('*')
      expect(get.headers['content-length']).toBe(String(get.body.length))
    },
  )

  test('a page may ask with a token, a validator and a body', async () => {
    const reply = await fleet.ask('/batch', { method: 'OPTIONS', headers: { origin: 'https://example.org' } })
    expect([reply.status, reply.headers['access-control-allow-origin']]).toEqual([204, '*'])
    for (const name of ['Authorization', 'Content-Type', 'If-None-Match']) {
      expect(reply.headers['access-control-allow-headers']).toContain(name)
    }
  })
})

test('without CLIENT_TOKENS what clients send is ignored, and goes nowhere', async () => {
  const canary = 'canary-client-token'
  const basic = `Basic ${Buffer.from(`${canary}:`).toString('base64')}`
  const ways = [
    { path: '/9.9.5.1', headers: { authorization: `Bearer ${canary}` } },
    { path: '/9.9.5.2', headers: { authorization: basic } },
    { path: `/9.9.5.3?token=${canary}`, headers: {} },
  ]
  for (const { path, headers } of ways) {
    expect((await fleet.ask(path, { headers })).status).toBe(200)
    const again = await fleet.ask(path, { headers })
    expect([again.status, isFromMemory(again), again.headers['ratelimit']]).toEqual([200, true, undefined])
  }
  expect(JSON.stringify(fleet.fake.calls)).not.toContain(canary)
  expect(fleet.replicas[0]?.output()).not.toContain(canary)
})
