import { request } from 'node:http'
import { until } from '@ipfleet/testing/until.ts'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { type LocalFleet, patientWithRedis, type Reply, startLocalFleet } from './local-fleet.ts'

/** Lists that the fleet sums up by its own records (issue 18). */
let fleet: LocalFleet
beforeAll(async () => {
  fleet = await startLocalFleet({
    replicas: 2,
    env: {
      CLIENT_TOKENS: 'mine=client-token-1;units=100/hour,long=client-token-2;units=100000/hour',
      TRUST_PROXY: 'loopback',
      ...patientWithRedis,
    },
  })
})
afterAll(() => fleet.stop())
afterEach(() => {
  fleet.fake.heal()
  fleet.fake.clearCalls()
})

const headers = { authorization: 'Bearer client-token-1', 'content-type': 'text/plain' }
const post = (body: string, path = '/summarize?cli=1'): Promise<Reply> =>
  fleet.ask(path, { method: 'POST', body, headers })

/** Units that the client has left. */
const remaining = ({ headers: fields }: Reply): number => Number(/r=(\d+)/.exec(String(fields['ratelimit']))?.[1])

test('a list is counted in the shape of IPinfo’s answer, and no tool of upstream is used', async () => {
  const reply = await post('8.8.8.8\n8.8.8.8\n1.1.1.1\n10.0.0.1\nnonsense\n')
  expect([reply.status, reply.headers['content-type']]).toEqual([200, 'application/json; charset=utf-8'])
  expect(reply.json()).toMatchObject({
    total: 4,
    unique: 3,
    bogon: 1,
    countries: { US: 2, AU: 1 },
    cities: { 'Mountain View, California, US': 2 },
    asns: { 'AS15169 Google LLC': 2 },
    privacy: { vpn: 0 },
  })
  expect(fleet.fake.calls.map(({ path }) => path)).not.toContain('/summarize')
})

test('addresses that are known cost nothing, the others one unit each, which the answer says', async () => {
  const first = await post('9.0.0.1\n9.0.0.2\n')
  expect(first.headers['ipfleet-units']).toBe('2')
  const second = await post('9.0.0.1\n9.0.0.2\n9.0.0.3\n')
  expect(second.headers['ipfleet-units']).toBe('1')
  expect(remaining(second)).toBe(remaining(first) - 1)
})

describe('the list may be', () => {
  test.each([
    ['lines', '8.8.8.8\n1.1.1.1'],
    ['a JSON array', '["8.8.8.8","1.1.1.1"]'],
    ['an object with ips', '{"ips": ["8.8.8.8", "1.1.1.1"]}'],
    ['a table', 'ip,n\n8.8.8.8,1\n1.1.1.1,2\n'],
    ['the text of a log', '8.8.8.8 - "GET /" via 1.1.1.1:80'],
  ])('%s, and the path any of its names', async (_form, body) => {
    for (const path of ['/summarize', '/summarize?cli=1', '/tools/summarize-ips', '/tools/summarize-ips?cli=1']) {
      const reply = await post(body, path)
      expect([path, reply.status, reply.json()]).toMatchObject([path, 200, { total: 2, unique: 2 }])
    }
  })

  test('longer than a batch', async () => {
    const list = Array.from({ length: 2500 }, (_, at) => `10.1.${at >> 8}.${at & 255}`)
    expect((await post(`${list.join('\n')}\n${list[0] ?? ''}`)).json()).toMatchObject({
      total: 2501,
      unique: 2500,
      bogon: 2501,
    })
  })

  test('nothing: 422, as IPinfo says it', async () => {
    const reply = await post('no address')
    expect([reply.status, reply.json()]).toMatchObject([422, { error: { title: 'No IPs Found' } }])
  })
})

/** Of a client that sends lists longer than a batch. */
const longHeaders = { ...headers, authorization: 'Bearer client-token-2' }
const longList = (network: string): string =>
  Array.from({ length: 1500 }, (_, at) => `${network}.${at >> 8}.${at & 255}`).join('\n')

test('what a list has cost counts for a client that leaves before its end', async () => {
  const usedUnits = async (): Promise<number> => {
    const usage = (await fleet.ask('/usage', { headers: longHeaders })).json()
    return (usage as { budgets: { units: { used: number } } }).budgets.units.used
  }
  const before = await usedUnits()
  const gate = fleet.fake.hold()
  const asked = fleet.fake.nextCall()
  const { hostname, port } = new URL(fleet.replicas[0]?.url ?? '')
  const leaving = request({ hostname, port, path: '/summarize', method: 'POST', headers: longHeaders })
  leaving.on('error', () => {}).end(longList('9.2'))
  await asked
  leaving.destroy()
  gate.release()
  await until(async () => (await usedUnits()) - before >= 1000)
})

test('where nothing can be looked up, it says what became of all addresses', async () => {
  fleet.fake.behave({ kind: 'status', status: 500 })
  const reply = await fleet.ask('/summarize', { method: 'POST', body: longList('9.1'), headers: longHeaders })
  expect([reply.status, reply.headers['ipfleet-items'], reply.headers['ipfleet-units']]).toEqual([
    502,
    'error=1500',
    '1500',
  ])
})

/** The path of the report that an answer leads to. */
const pathOf = (reply: Reply): string => new URL((reply.json() as { reportUrl: string }).reportUrl).pathname

describe('a map', () => {
  test.each(['/tools/map', '/map', '/map?cli=1', '/tools/map?cli=1', '/map&cli=1'])(
    'of %s is a page of this fleet, and uses no tool of upstream',
    async (path) => {
      const reply = await post('8.8.8.8\n1.1.1.1\n8.8.8.8\n', path)
      const origin = fleet.replicas[0]?.url ?? ''
      expect([reply.status, reply.json()]).toEqual([
        200,
        {
          status: 'Report Generated',
          reportUrl: expect.stringMatching(new RegExp(`^${origin}/tools/map/[0-9a-f]{32}$`)),
        },
      ])
      const page = await fleet.ask(pathOf(reply))
      expect([page.status, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
      expect(page.text).toContain('Report of 3 addresses')
      expect(page.text).not.toContain('8.8.8.8')
      expect(page.headers).toMatchObject({
        'x-robots-tag': expect.stringContaining('noindex'),
        'referrer-policy': 'no-referrer',
      })
      expect(fleet.fake.calls.map((call) => call.path)).not.toContain('/tools/map')
    },
  )

  test('is read without a token, by every replica, as JSON too', async () => {
    const path = pathOf(await post('8.8.8.8\n1.1.1.1', '/tools/map'))
    for (const replica of fleet.replicas.keys()) {
      const page = await fleet.ask(`${path}.json`, { replica })
      expect([page.status, page.json()]).toMatchObject([200, { total: 2, countries: { US: 1, AU: 1 } }])
    }
  })

  test.each([
    ['http', { host: 'ipinfo.example:8080' }, 'http://ipinfo.example:8080'],
    ['what the edge says', { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'ipinfo.io' }, 'https://ipinfo.io'],
    ['the nearest proxy', { 'x-forwarded-host': 'evil.example, ipinfo.io' }, 'http://ipinfo.io'],
    ['an address', { host: '[::1]:9' }, 'http://[::1]:9'],
    ['nothing that is no host', { 'x-forwarded-host': 'a"><script>' }, ''],
  ])('is named by %s', async (_what, fields, origin) => {
    const reply = await fleet.ask('/tools/map', { method: 'POST', body: '8.8.8.8', headers: { ...headers, ...fields } })
    expect((reply.json() as { reportUrl: string }).reportUrl.replace(/\/tools\/map\/[0-9a-f]{32}$/, '')).toBe(origin)
  })

  test('of no address is 422, and one that is not there 404, without upstream', async () => {
    expect((await post('no address', '/tools/map')).status).toBe(422)
    fleet.fake.clearCalls()
    expect((await fleet.ask(`/tools/map/${'0'.repeat(32)}`)).status).toBe(404)
    expect(fleet.fake.calls).toEqual([])
  })
})
