import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type HttpClient, httpClient, type LocalFleet, startLocalFleet } from './local-fleet.ts'
import { parseRaw, sendRaw } from './raw-http.ts'

/** Requests byte for byte as IPinfo's SDKs send them, oddities and all. */
const clientToken = 'client-token'
let fleet: LocalFleet
let guarded: LocalFleet
let direct: HttpClient
beforeAll(async () => {
  const options = { keys: ['business-key'], fake: { keys: { 'business-key': { plan: 'business' } } } } as const
  fleet = await startLocalFleet(options)
  guarded = await startLocalFleet({ ...options, env: { CLIENT_TOKENS: clientToken } })
  direct = httpClient()
})
afterAll(async () => {
  direct.close()
  await guarded.stop()
  await fleet.stop()
})

interface Habit {
  readonly sdk: string
  readonly head: readonly string[]
  readonly body?: string
  /** What it means: the path at IPinfo, or the items of a batch. */
  readonly means: string
  readonly isAnonymous?: true
}

const basic = Buffer.from(`${clientToken}:`).toString('base64')
const items = '["8.8.8.8", "1.1.1.1/city", "10.0.0.1/hostname"]'
const long = '2001:4860:4860:0000:0000:0000:0000:8888'
const escaped = '2001%3A4860%3A4860%3A%3A8888'
const byQuery = `?token=${clientToken}`
const bearer = `authorization: Bearer ${clientToken}`

const habits: readonly Habit[] = [
  {
    sdk: 'Java: Basic, no Accept',
    head: ['GET /8.8.8.8 HTTP/1.1', `Authorization: Basic ${basic}`, 'User-Agent: IPinfoClient/Java/3.2.0'],
    means: '/8.8.8.8',
  },
  {
    sdk: 'Rust: Bearer without a token',
    head: ['GET /8.8.8.8 HTTP/1.1', 'authorization: Bearer ', 'user-agent: IPinfoClient/Rust/3.1.0', 'accept: */*'],
    means: '/8.8.8.8',
    isAnonymous: true,
  },
  {
    sdk: 'Ruby: the token in query and header, IPv6 percent-encoded',
    head: [`GET /${escaped}${byQuery} HTTP/1.1`, bearer, 'User-Agent: IPinfoClient/Ruby/2.3.0'],
    means: '/2001:4860:4860::8888',
  },
  {
    sdk: 'Ruby: /lite//ip',
    head: [`GET /lite//8.8.8.8${byQuery} HTTP/1.1`, bearer, 'User-Agent: IPinfoClient/Ruby/2.3.0'],
    means: '/lite/8.8.8.8',
  },
  {
    sdk: 'Ruby: a batch that says it is a form',
    head: [`POST /batch${byQuery} HTTP/1.1`, bearer, 'Content-Type: application/x-www-form-urlencoded'],
    body: items,
    means: '/batch',
  },
  {
    sdk: 'Swift: /batch&filter=1',
    head: [
      'POST /batch&filter=1 HTTP/1.1',
      bearer,
      'Content-Type: application/json',
      'User-Agent: IPinfoClient/Swift/1.0',
    ],
    body: items,
    means: '/batch?filter=1',
  },
  {
    sdk: 'Python: IPv6 written out',
    head: [`GET /${long} HTTP/1.1`, bearer, 'accept: application/json', 'user-agent: IPinfoClient/Python3.13/5.2.0'],
    means: '/2001:4860:4860::8888',
  },
  {
    sdk: 'a batch without a content type',
    head: ['POST /batch HTTP/1.1', bearer],
    body: items,
    means: '/batch',
  },
  {
    sdk: 'a batch as a list of lines',
    head: ['POST /batch HTTP/1.1', bearer, 'Content-Type: text/plain'],
    body: '8.8.8.8\r\n1.1.1.1/city\r\n10.0.0.1/hostname\r\n',
    means: '/batch',
  },
]

async function sent({ head, body = '' }: Habit, to: LocalFleet) {
  const fields = [
    'Host: ipinfo.io',
    'Connection: close',
    ...(body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]),
  ]
  const bytes = `${[...head, ...fields].join('\r\n')}\r\n\r\n${body}`
  return parseRaw(await sendRaw(to.replicas[0]?.port ?? 0, bytes))
}

describe.each(habits)('$sdk', (habit) => {
  test('is answered as IPinfo would answer what it means', async () => {
    const isBatch = habit.means.startsWith('/batch')
    const headers = { authorization: 'Bearer business-key' }
    const expected = await direct.ask(fleet.fake.url, fleet.fake.onItsHost(habit.means), {
      headers,
      ...(isBatch && { method: 'POST', body: items }),
    })
    const reply = await sent(habit, fleet)
    expect([reply.status, reply.body]).toEqual([200, expected.text])
    expect(reply.head).toContain('content-type: application/json')
  })

  test('brings its token where it is looked for', async () => {
    expect((await sent(habit, guarded)).status).toBe(habit.isAnonymous ? 401 : 200)
  })
})

test('no token of a client went upstream, and each query was put in one spelling', () => {
  const calls = [...fleet.fake.calls, ...guarded.fake.calls].filter(({ token }) => token === 'business-key')
  expect(calls.length).toBeGreaterThan(0)
  expect(JSON.stringify([fleet.fake.calls, guarded.fake.calls])).not.toContain(clientToken)
  expect(guarded.fake.calls.map(({ path }) => path).filter((path) => path.includes('2001'))).toHaveLength(1)
})
