import type { ServiceProcess } from '@ipfleet/testing/service-process.ts'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { ask, type Reply } from './ask.ts'
import { startEchoBackend } from './start-echo-backend.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'

/** Whom the edge takes for its client behind a gateway that it trusts (issue 12). */
let backend: ServiceProcess
let edge: RunningEdge
let open: RunningEdge
beforeAll(async () => {
  backend = await startEchoBackend()
  const env = { TRUST_PROXY: '127.0.0.1' }
  const limit = '[rate_limit]\nmax_requests = 3\nwindow_seconds = 3600'
  const access = '[access]\ndeny = ["9.9.9.9", "2001:db8::/32"]'
  edge = await startEdge({ backends: [backend.port], env, tables: access })
  open = await startEdge({ backends: [backend.port], env, tables: limit })
})
afterAll(async () => {
  await Promise.all([edge?.stop(), open?.stop(), backend?.stop()])
})

const from = (forwarded: string, path = '/', to = edge): Promise<Reply> => {
  return ask(to.port, path, { headers: { 'x-forwarded-for': forwarded, 'x-forwarded-proto': 'https' } })
}
const seenBy = ({ body }: Reply): Record<string, string> =>
  (JSON.parse(body) as { headers: Record<string, string> }).headers

const unreadable = ['unknown', '_hidden', '', '1.1.1.1,', '0x7f.1', '[9.9.9.9]', 'localhost', '1.1.1.1, x:80', '"']

describe('the address of a hop is read without its port, brackets and quotes', () => {
  test.each([
    '9.9.9.9',
    '9.9.9.9:51413',
    '"9.9.9.9:51413"',
    '[2001:db8::1]:443',
    '"[2001:DB8::1]"',
    '[::ffff:9.9.9.9]:1',
  ])('%s is denied, and is shown no metrics', async (forwarded) => {
    expect((await from(forwarded)).status).toBe(403)
    expect((await from(forwarded, '/metrics')).status).toBe(403)
  })

  test.each([
    ['8.8.8.8:51413', '8.8.8.8'],
    ['9.9.9.9, [2001:4860::1]:443', '2001:4860::1'],
    ['127.0.0.1', '127.0.0.1'],
  ])('%s is passed on as %s, with the scheme', async (forwarded, address) => {
    expect(seenBy(await from(forwarded))).toMatchObject({
      'x-real-ip': address,
      'x-forwarded-proto': 'https',
      'x-forwarded-for': `${forwarded}, 127.0.0.1`,
    })
  })
})

describe('a hop that cannot be read is not taken for the gateway', () => {
  test.each(unreadable)('%j is denied where there is a list, and shown no metrics', async (forwarded) => {
    expect([(await from(forwarded)).status, (await from(forwarded, '/metrics')).status]).toEqual([403, 403])
    // Without a list the path does not exist, and what is behind answers.
    expect((await from(forwarded, '/metrics', open)).body).not.toContain('ipfleet_edge')
  })

  test('all such share one budget', async () => {
    const statuses: number[] = []
    for (const forwarded of ['unknown', '_other', '', 'x']) statuses.push((await from(forwarded, '/', open)).status)
    expect(statuses.at(-1)).toBe(429)
    expect((await from('8.8.4.4:1', '/', open)).status).toBe(200)
  })

  test('the scheme is not lost, and no address is made up', async () => {
    await using plain = await startEdge({ backends: [backend.port], env: { TRUST_PROXY: '127.0.0.1' } })
    const seen = seenBy(await from('unknown', '/', plain))
    expect(seen).toMatchObject({ 'x-forwarded-proto': 'https', 'x-forwarded-for': 'unknown, 127.0.0.1' })
    expect(seen['x-real-ip']).toBeUndefined()
  })
})
