import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type FakeIpinfo, startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { converse } from '@ipfleet/testing/raw-conversation.ts'
import { type ServiceProcess, startReplica } from '@ipfleet/testing/service-process.ts'

/** FAST_LANE=on and off: whatever is asked, clients, the log and the metrics see the same. */
const free = 'free-client-token'
const budgeted = 'budgeted-client-token'
let fake: FakeIpinfo
let replicas: { readonly on: ServiceProcess; readonly off: ServiceProcess }
let guarded: { readonly on: ServiceProcess; readonly off: ServiceProcess }

beforeAll(async () => {
  fake = await startFakeIpinfo({ requireToken: false })
  const ofUpstream = { IPINFO_KEYS: 'only-key', IPINFO_BASE_URL: fake.url, QUOTA_POLL_SECONDS: '0' }
  // An answer that is late on a busy machine would be one of another kind.
  const env = { ...ofUpstream, REQUEST_TIMEOUT_MS: '60000', DRAIN_MS: '0' }
  const start = async (more: Readonly<Record<string, string>>) => {
    const both = ['on', 'off'].map((lane) => startReplica({ ...env, ...more, FAST_LANE: lane }))
    const [on, off] = await Promise.all(both)
    return { on, off } as typeof replicas
  }
  const tokens = `${free},budgeted=${budgeted};requests=6/hour`
  ;[replicas, guarded] = await Promise.all([start({}), start({ CLIENT_TOKENS: tokens })])
})
afterAll(async () => {
  await Promise.all([replicas, guarded].flatMap(({ on, off }) => [on.stop(), off.stop()]))
  await fake.close()
})

const get = (target: string, ...fields: string[]): string =>
  [`GET ${target} HTTP/1.1`, 'Host: localhost', ...fields, '', ''].join('\r\n')

/** What both answer to the same requests on one connection: the same, but for ids and seconds. */
async function answersOf(both: typeof replicas, requests: readonly string[]): Promise<string[]> {
  const said = async ({ port }: ServiceProcess): Promise<string[]> => {
    const { answers } = await converse(port, requests.join(''), { answers: requests.length })
    return answers.map(({ head, body }) => `${withoutTimes(head)}\r\n\r\n${body}`)
  }
  const [on, off] = await Promise.all([said(both.on), said(both.off)])
  expect(on).toEqual(off)
  expect(on).toHaveLength(requests.length)
  return on
}

function withoutTimes(head: string): string {
  const times = /(?<=date: ).*|(?<=age: )\d+|(?<=ttl=)\d+|(?<=x-request-id: )[\da-f-]{36}$|(?<=;t=|retry-after: )\d+/gm
  return head.replaceAll('\r', '').replaceAll(times, '…')
}

const statusOf = (answer: string): number => Number(answer.slice(9, 12))

async function lineOf(replica: ServiceProcess, id: string): Promise<Record<string, unknown>> {
  const { time: _time, latency_us: latencyUs, ...line } = await replica.waitForLine((one) => one['id'] === id)
  return { ...line, latency: typeof latencyUs }
}

/** Of the requests with these ids, as both have logged them, but for the times. */
function linesOf(ids: readonly string[]): Promise<Record<string, unknown>[][]> {
  const { on, off } = replicas
  return Promise.all([on, off].map((replica) => Promise.all(ids.map((id) => lineOf(replica, id)))))
}

async function countsOf({ url }: ServiceProcess): Promise<string[]> {
  const metrics = await (await fetch(`${url}/metrics`)).text()
  const told = /^ipfleet_(requests_total|request_duration_seconds_count|upstream_calls_saved_total)/
  return metrics
    .split('\n')
    .filter((line) => told.test(line))
    .toSorted()
}

test.each([
  ['the record', '/9.7.1.1'],
  ['/json', '/9.7.1.1/json'],
  ['a token in the URL', '/9.7.1.1?token=abc'],
  ['both', '/9.7.1.1/json?token=abc'],
  ['a token that is not plain', '/9.7.1.1?token=a%20"b'],
  ['an unknown parameter', '/9.7.1.1?a=b'],
  ['a field as text', '/9.7.1.1/city'],
  ['a callback', '/9.7.1.1?callback=show'],
  ['IPv6', '/2606:4700:4700::1111'],
  ['IPv6 in another spelling', '/2606:4700:4700:0:0:0:0:1111'],
  ['an ASN', '/AS15169'],
  ['what is not there', '/9.7.1.1/nothing'],
  ['a fragment', '/9.7.1.1#a'],
])('%s: %s', async (_what, target) => {
  const [first = ''] = await answersOf(replicas, [get(target)])
  // Then from memory and amid others, if the connection goes on.
  if (statusOf(first) !== 400)
    await answersOf(replicas, [get(target), get('/9.7.1.1'), get(target, 'A: b'), get(target)])
})

test('bodies keep their bytes, also those of letters beyond ASCII', async () => {
  const requests = Array.from({ length: 40 }, (_, index) => get(`/9.${index}.7.4`))
  await answersOf(replicas, requests)
  const hits = await answersOf(replicas, requests)
  expect(hits.map((answer) => Buffer.from(answer, 'latin1').toString()).join()).toMatch(/[^\0-\x7f…]/)
})

describe('a hit in memory', () => {
  const target = '/9.7.2.1'
  beforeAll(() => answersOf(replicas, [get(target)]))

  test.each([
    ['an id of its own', ['X-Request-Id: my-id.1'], 200],
    ['an id that is none', ['X-Request-Id: my id'], 200],
    ['two ids', ['X-Request-Id: a', 'X-Request-Id: b'], 200],
    ['any tag', ['If-None-Match: *'], 304],
    ['another tag', ['If-None-Match: "other"'], 200],
    ['codings', ['Accept-Encoding: gzip, br'], 200],
    ['a directive', ['Cache-Control: max-age=3600'], 200],
    ['a connection that stays', ['Connection: Keep-Alive'], 200],
    ['an empty body', ['Content-Length: 0'], 200],
    ['a body', ['Content-Length: 3'], 200],
    ['fields in odd forms', ['ACCEPT:*/*', 'X-Tab:\ta', 'X-Space:  a  '], 200],
    ['a browser', ['Cookie: a=b', 'Sec-Fetch-Mode: cors', 'Set-Cookie: a', '__proto__: a'], 200],
    ['two Hosts', ['Host: b'], 400],
    ['an expectation', ['Expect: magic'], 417],
  ])('with %s', async (what, fields, status) => {
    const body = what === 'a body' ? 'abc' : ''
    const [answer = ''] = await answersOf(replicas, [get(target, ...fields) + body])
    expect(statusOf(answer)).toBe(status)
    expect(answer.includes('cache-status: ipfleet; hit; ttl=…; detail=l1')).toBe(status < 400)
  })

  test('with its tag is 304 without a body', async () => {
    const tag = (await fetch(`${replicas.on.url}${target}`)).headers.get('etag')
    const [answer = ''] = await answersOf(replicas, [get(target, `If-None-Match: "other", ${tag}`)])
    expect([statusOf(answer), answer.split('\r\n\r\n')[1]]).toEqual([304, ''])
    await fetch(`${replicas.off.url}${target}`)
  })

  test('is logged and counted alike', async () => {
    const ids = ['lane-1', 'lane-2', 'lane-3']
    const asked = [
      get(target, 'X-Request-Id: lane-1'),
      get(`${target}/json?token=secret`, 'X-Request-Id: lane-2'),
      get(target, 'X-Request-Id: lane-3', 'If-None-Match: *'),
    ]
    await answersOf(replicas, asked)
    const [on = [], off] = await linesOf(ids)
    expect(on).toEqual(off)
    expect(on[1]).toMatchObject({ method: 'GET', path: `${target}/json`, status: 200, cache: 'l1', msg: 'request' })
    const [counts, others] = await Promise.all([countsOf(replicas.on), countsOf(replicas.off)])
    expect(counts).toEqual(others)
    expect(counts.join('\n')).toMatch(/status="3xx",cache="l1"\} [1-9]/)
  })
})

test('what memory has no answer to is answered, logged and counted alike', async () => {
  const requests: [target: string, fields: string[], status: number][] = [
    ['/9.7.5.1', [], 200],
    ['/9.7.5.2/city?token=secret', [], 200],
    ['/9.7.5.3', ['If-None-Match: *'], 304],
    ['/9.7.5.4?callback=show', [], 200],
    ['/9.7.5.5?callback=1', [], 400],
    ['/9.7.5.6', ['Cache-Control: only-if-cached'], 504],
    ['/9.7.5.7', ['Cache-Control: no-cache'], 200],
    ['/9.7.5.999', [], 404],
    ['/9.7.5.8/nothing', [], 400],
    ['/9.7.5.9%', [], 400],
    ['/10.0.0.1', [], 200],
    ['/2606:4700::9', [], 200],
  ]
  const statuses: number[] = []
  for (const [index, [target, fields]] of requests.entries()) {
    const [answer = ''] = await answersOf(replicas, [get(target, `X-Request-Id: served-${index}`, ...fields)])
    statuses.push(statusOf(answer))
  }
  expect(statuses).toEqual(requests.map(([, , status]) => status))
  const [on, off] = await linesOf(requests.map((_request, index) => `served-${index}`))
  expect(on).toEqual(off)
  expect(await countsOf(replicas.on)).toEqual(await countsOf(replicas.off))
})

describe('with CLIENT_TOKENS', () => {
  const target = '/9.7.3.1'
  const basic = `Authorization: Basic ${Buffer.from(`${free}:`).toString('base64')}`
  beforeAll(() => answersOf(guarded, [get(target, `Authorization: Bearer ${free}`)]))

  test.each([
    ['in Bearer', get(target, `Authorization: Bearer ${free}`), 200],
    ['in Basic', get(target, basic), 200],
    ['in the URL', get(`${target}?token=${free}`), 200],
    ['in the field and another in the URL', get(`${target}?token=other`, basic), 200],
    ['that is unknown', get(target, 'Authorization: Bearer unknown-token'), 403],
    ['that is empty', get(target, 'Authorization: Bearer '), 401],
    ['that is missing', get(target), 401],
    ['given twice', get(target, 'Authorization: Bearer unknown-token', basic), 403],
  ])('a token %s', async (_how, request, status) => {
    const [answer = ''] = await answersOf(guarded, [request])
    expect(statusOf(answer)).toBe(status)
  })

  test('a budget is used up by hits, each told what is left', async () => {
    const request = get(target, `Authorization: Bearer ${budgeted}`)
    const answers = await answersOf(
      guarded,
      Array.from({ length: 8 }, () => request),
    )
    expect(answers.map(statusOf)).toEqual([200, 200, 200, 200, 200, 200, 429, 429])
    expect(answers.map((answer) => /(?<=^ratelimit: "requests";r=)\d+/m.exec(answer)?.[0]).slice(0, 6)).toEqual([
      '5',
      '4',
      '3',
      '2',
      '1',
      '0',
    ])
  })
})
