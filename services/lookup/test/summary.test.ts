import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { type LocalFleet, type Reply, startLocalFleet } from './local-fleet.ts'

/** Lists that the fleet sums up by its own records (issue 18). */
let fleet: LocalFleet
beforeAll(async () => {
  fleet = await startLocalFleet({
    env: { CLIENT_TOKENS: 'mine=client-token-1;units=100/hour' },
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

test('where nothing can be looked up, it says when to come again', async () => {
  fleet.fake.behave({ kind: 'status', status: 500 })
  const reply = await post('9.0.1.1\n9.0.1.2\n')
  expect(reply.status).toBeGreaterThanOrEqual(500)
})

test('a map is still upstream’s', async () => {
  expect((await post('8.8.8.8', '/tools/map')).status).toBe(200)
  expect(fleet.fake.calls.map(({ path }) => path)).toEqual(['/tools/map'])
})
