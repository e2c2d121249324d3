import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { type FakeIpinfo, startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { ScriptedBackend } from '@ipfleet/testing/scripted-backend.ts'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import type { Reply } from '../src/reply.ts'
import { ipinfo } from '../src/providers/ipinfo.ts'
import { UpstreamClient, type UpstreamClientOptions } from '../src/upstream-client.ts'
import type { UpstreamRequest } from '../src/upstream-request.ts'

const secret = 'canary-3f9a'
const maxBodyBytes = 32_768
/** Long enough for a busy machine where an answer is expected. */
const patienceMs = 10_000

let fake: FakeIpinfo
let clients: UpstreamClient[]

beforeEach(async () => {
  fake = await startFakeIpinfo({ keys: { [secret]: {}, empty: { monthlyQuota: 0 }, poor: { lacks: ['privacy'] } } })
  clients = []
})

afterEach(async () => {
  for (const client of clients) client.close()
  await fake.close()
})

function clientOf(options: Partial<UpstreamClientOptions> = {}): UpstreamClient {
  const made = new UpstreamClient({
    provider: ipinfo({ legacy: fake.url, api: `${fake.apiUrl}/lite` }),
    userAgent: 'ipfleet/test',
    maxBodyBytes,
    maxSockets: 8,
    ...options,
  })
  clients.push(made)
  return made
}

function clientAt(baseUrl: string): UpstreamClient {
  return clientOf({ provider: ipinfo({ legacy: baseUrl, api: baseUrl }) })
}

interface Asked extends Partial<UpstreamRequest> {
  readonly client?: UpstreamClient
  readonly key?: string
  readonly withinMs?: number
}

function ask({ client = clientOf(), key = secret, withinMs = patienceMs, ...request }: Asked = {}): Promise<Reply> {
  const what: UpstreamRequest = { method: 'GET', surface: 'legacy', path: '/8.8.8.8', expected: 'json', ...request }
  return client.ask(what, key, performance.now() + withinMs)
}

function recordIn(reply: Reply): unknown {
  expect(reply.kind).toBe('answered')
  return reply.kind === 'answered' ? JSON.parse(reply.answer.body.toString()) : undefined
}

/** A failure says what happened, and nothing of the key or the address. */
function expectFailure(reply: Reply, code: string, detail: RegExp): void {
  expect(reply).toMatchObject({ kind: 'failed', code, detail: expect.stringMatching(detail) })
  expect(JSON.stringify(reply)).not.toContain(secret)
  expect(JSON.stringify(reply)).not.toContain('127.0.0.1')
}

function timers(): number {
  return process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length
}

describe('an answer', () => {
  test('comes with status, content type and the bytes as they were sent', async () => {
    const reply = await ask()
    expect(reply).toMatchObject({
      kind: 'answered',
      answer: { status: 200, contentType: 'application/json; charset=utf-8' },
    })
    const direct = await fetch(`${fake.url}/8.8.8.8`, { headers: { authorization: `Bearer ${secret}` } })
    expect(reply.kind === 'answered' && reply.answer.body.toString()).toBe(await direct.text())
  })

  test('may be a field, as text', async () => {
    const reply = await ask({ path: '/8.8.8.8/country', expected: 'text' })
    expect(reply.kind === 'answered' && reply.answer.body.toString()).toBe('US\n')
  })

  test('may be that there is none', async () => {
    expect(await ask({ path: '/999.1.1.1' })).toMatchObject({ kind: 'answered', answer: { status: 404 } })
  })

  test('of a batch is that of its items', async () => {
    const body = { bytes: Buffer.from('["8.8.8.8/country","1.1.1.1"]'), contentType: 'application/json' }
    const answer = recordIn(await ask({ method: 'POST', path: '/batch', body }))
    expect(answer).toMatchObject({ '8.8.8.8/country': 'US', '1.1.1.1': { ip: '1.1.1.1' } })
    expect(fake.calls).toMatchObject([{ method: 'POST', path: '/batch', items: ['8.8.8.8/country', '1.1.1.1'] }])
  })

  test('may take its time within the deadline', async () => {
    fake.behave({ kind: 'latency', ms: 150 })
    expect((await ask()).kind).toBe('answered')
  })

  test('may be as long as the cap, and not a byte longer', async () => {
    const disarm = fake.behave({ kind: 'huge', bytes: maxBodyBytes })
    expect(recordIn(await ask())).toMatchObject({ ip: '8.8.8.8' })
    disarm()
    fake.behave({ kind: 'huge', bytes: maxBodyBytes + 1 })
    expectFailure(await ask(), 'upstream_invalid', /^body over 32768 bytes$/)
  })

  test('each surface has its own base URL, which may have a path', async () => {
    expect(recordIn(await ask({ surface: 'api' }))).toMatchObject({ ip: '8.8.8.8', country_code: 'US' })
    expect(fake.calls[0]?.path).toBe('/lite/8.8.8.8')
  })

  test('leaves no timer behind', async () => {
    const client = clientOf()
    const before = timers()
    await Promise.all(Array.from({ length: 20 }, () => ask({ client })))
    expect(timers()).toBeLessThan(before + 10)
  })

  test('of whatever kind is counted: how long it took, and what it was', async () => {
    const client = clientOf()
    const calls: [number, string][] = []
    client.on('call', (...call) => calls.push(call))
    await ask({ client })
    await ask({ client, key: 'empty' })
    await ask({ client, key: 'nobody' })
    expect(client.failures).toBe(0)
    fake.behave({ kind: 'reset' })
    await ask({ client })
    expect(calls.map(([, outcome]) => outcome)).toEqual(['answered', 'limited', 'denied', 'failed'])
    expect(calls.every(([durationMs]) => durationMs > 0 && durationMs < patienceMs)).toBe(true)
    expect(client.failures).toBe(1)
  })
})

describe('what keys meet', () => {
  test('an exhausted key is limited, for as long as upstream says', async () => {
    expect(await ask({ key: 'empty' })).toMatchObject({ kind: 'limited', retryAfterSeconds: undefined })
    fake.behave({ kind: '429-storm', retryAfterSeconds: 42 })
    expect(await ask()).toMatchObject({ kind: 'limited', retryAfterSeconds: 42 })
  })

  test('an unknown key is denied; whether as a whole is for its account to tell', async () => {
    expect(await ask({ key: 'nobody' })).toMatchObject({ kind: 'denied', scope: 'unclear', answer: { status: 403 } })
  })

  test('a key without the permission is denied', async () => {
    const reply = await ask({ key: 'poor', path: '/8.8.8.8/privacy' })
    expect(reply).toMatchObject({ kind: 'denied', scope: 'unclear', answer: { status: 401 } })
  })
})

describe('a failing upstream', () => {
  test.each<[string, Parameters<FakeIpinfo['behave']>[0], string, RegExp]>([
    ['resets', { kind: 'reset' }, 'upstream_unreachable', /^ECONNRESET$/],
    ['resets in the middle', { kind: 'reset-mid-body' }, 'upstream_unreachable', /MISMATCH|ECONNRESET/],
    ['ends too early', { kind: 'truncated' }, 'upstream_unreachable', /MISMATCH|ECONNRESET/],
    ['sends garbage', { kind: 'garbage' }, 'upstream_invalid', /^malformed JSON$/],
    ['sends a web page', { kind: 'html' }, 'upstream_invalid', /^text\/html instead of json$/],
    ['sends without end', { kind: 'endless' }, 'upstream_invalid', /^body over/],
    ['sends a gzip bomb', { kind: 'gzip-bomb' }, 'upstream_invalid', /^body over/],
    ['redirects', { kind: 'redirect' }, 'upstream_invalid', /^unexpected status 302$/],
    ['answers 500', { kind: 'status', status: 500, body: { error: 'x' } }, 'upstream_failed', /^status 500$/],
    [
      'answers 503',
      { kind: 'status', status: 503, headers: { 'retry-after': '9' } },
      'upstream_failed',
      /^status 503$/,
    ],
    [
      'says gzip of what is none',
      { kind: 'status', status: 200, body: 'no gzip', headers: { 'content-encoding': 'gzip' } },
      'upstream_invalid',
      /^Z_/,
    ],
    [
      'says brotli of what is none',
      { kind: 'status', status: 200, body: 'no brotli', headers: { 'content-encoding': 'br' } },
      'upstream_invalid',
      /^ERR__/,
    ],
  ])('that %s is told by a code, and asked once', async (_, behaviour, code, detail) => {
    fake.behave(behaviour)
    expectFailure(await ask(), code, detail)
    expect(fake.calls).toHaveLength(1)
  })

  test.each([
    ['Content-Type: application/json\x07', 'failed'],
    ['Content-Type: text/\x1b[31m', 'failed'],
    ['Content-Type: application/json\r\nX-Other: \x07\x1b', 'answered'],
  ])('whose fields hold control characters is refused only where they would be passed on: %j', async (field, kind) => {
    await using backend = await ScriptedBackend.start()
    const asked = ask({ client: clientAt(`http://127.0.0.1:${backend.port}`) })
    const wire = await backend.accept()
    await wire.saw('\r\n\r\n')
    wire.write(`HTTP/1.1 200 OK\r\n${field}\r\nContent-Length: 16\r\n\r\n{"ip":"8.8.8.8"}`)
    const reply = await asked
    expect(reply.kind).toBe(kind)
    expect(JSON.stringify(reply)).not.toMatch(/\\u0007|\\u001b/)
  })

  test('a gzip bomb is not inflated', async () => {
    fake.behave({ kind: 'gzip-bomb', bytes: 400 * 1024 * 1024 })
    const before = process.memoryUsage.rss()
    expectFailure(await ask(), 'upstream_invalid', /^body over/)
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 1024 * 1024)
  })

  test('that refuses connections is unreachable', async () => {
    const client = clientOf()
    await fake.close()
    expectFailure(await ask({ client }), 'upstream_unreachable', /^ECONNREFUSED$/)
  })

  test('whose name is not known is unreachable', async () => {
    const client = clientAt('http://ipfleet.invalid')
    const reply = await ask({ client, withinMs: 3000 })
    // A resolver that does not answer is a timeout.
    if (reply.kind === 'failed' && reply.code === 'upstream_timeout') return
    expectFailure(reply, 'upstream_unreachable', /^(ENOTFOUND|EAI_AGAIN)$/)
  })

  test.each([
    ['a key that no header can carry', { key: `${secret}\n` }, /^ERR_INVALID_CHAR$/],
    ['an address that is none', { client: () => clientAt('http://127.0.0.1:99999') }, /^ERR_INVALID_URL$/],
    ['a scheme of another kind', { client: () => clientAt('ftp://127.0.0.1') }, /^ERR_UNSUPPORTED/],
  ])(
    'even %s does not make it throw',
    async (_, { client, ...asked }: { client?: () => UpstreamClient; key?: string }, detail) => {
      expectFailure(await ask({ client: client?.() ?? clientOf(), ...asked }), 'upstream_unreachable', detail)
    },
  )
})

describe('the deadline', () => {
  test.each<[string, Parameters<FakeIpinfo['behave']>[0]]>([
    ['an answer that never comes', { kind: 'hang' }],
    ['a body that never comes', { kind: 'hang-after-headers' }],
    ['a body that comes byte by byte', { kind: 'drip', everyMs: 50 }],
    ['an answer that comes too late', { kind: 'latency', ms: 15_000 }],
  ])('covers %s', async (_, behaviour) => {
    fake.behave(behaviour)
    await expectTimeout(() => ask({ withinMs: 250 }))
  })

  test('covers the wait for a socket', async () => {
    const client = clientOf({ maxSockets: 1 })
    const gate = fake.hold()
    const first = ask({ client })
    await fake.waitForCalls(1)
    await expectTimeout(() => ask({ client, path: '/1.1.1.1', withinMs: 250 }))
    gate.release()
    expect((await first).kind).toBe('answered')
    expect(fake.callsTo('/1.1.1.1')).toHaveLength(0)
  })

  test('once it is over upstream is not asked', async () => {
    const clock = manualClock(1000)
    const client = clientOf({ clock })
    const request = { method: 'GET', surface: 'legacy', path: '/8.8.8.8', expected: 'json' } as const
    for (const deadlineMs of [1000, 999]) {
      expectFailure(await client.ask(request, secret, deadlineMs), 'upstream_timeout', /^no time left/)
    }
    expect(fake.calls).toHaveLength(0)
  })
})

async function expectTimeout(question: () => Promise<Reply>): Promise<void> {
  const startedMs = performance.now()
  expectFailure(await question(), 'upstream_timeout', /^nothing within 250 ms$/)
  const tookMs = performance.now() - startedMs
  expect(tookMs).toBeGreaterThan(200)
  expect(tookMs).toBeLessThan(10_000)
}
