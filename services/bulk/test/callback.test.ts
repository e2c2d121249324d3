import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { Webhook } from 'standardwebhooks'
import { likelyFreePort } from '@ipfleet/testing/service-process-port.ts'
import { until } from '@ipfleet/testing/until.ts'
import { addresses } from '@ipfleet/testing/public-addresses.ts'
import { BulkHarness } from './bulk-harness.ts'

const secret = `whsec_${randomBytes(32).toString('base64')}`
let harness: BulkHarness

beforeAll(async () => {
  harness = await BulkHarness.start({ services: 2, bulkEnv: { WEBHOOK_SECRET: secret, ALLOW_TARGETS: 'loopback' } })
})

afterAll(() => harness.stop())

test('the end of a job is told once the receiver is back, signed, and once', async () => {
  const port = likelyFreePort()
  const id = await harness.post(addresses(10).join('\n'), `?callback=http://127.0.0.1:${port}/hook?key=hidden`)
  await harness.waitFor(id, 'completed')
  const failed = await until(async () => {
    const { callback } = await harness.job(id)
    return callback !== undefined && callback.attempts >= 2 ? callback : undefined
  })
  expect(failed).toMatchObject({ state: 'waiting', reason: 'unreachable' })

  const received: { headers: Record<string, string>; body: string; path: string | undefined }[] = []
  const receiver = createServer(async (req, res) => {
    received.push({ headers: req.headers as Record<string, string>, body: await text(req), path: req.url })
    res.writeHead(204).end()
  }).listen(port, '127.0.0.1')
  await once(receiver, 'listening')
  expect((receiver.address() as AddressInfo).port).toBe(port)
  await until(async () => (await harness.job(id)).callback?.state === 'delivered')
  receiver.close()

  expect(received).toHaveLength(1)
  const [message] = received
  expect(message?.path).toBe('/hook?key=hidden')
  const verified = new Webhook(secret).verify(message?.body ?? '', message?.headers ?? {})
  expect(verified).toMatchObject({ type: 'job.completed', data: { id, state: 'completed', lines: { total: 10 } } })
  const shown = JSON.stringify(await harness.job(id)) + harness.services.map((service) => service.output()).join('')
  expect(shown).not.toContain('key=hidden')
})

test.each(['http://169.254.169.254/latest', 'http://10.0.0.1/', 'http://[::ffff:192.168.0.1]/', 'ftp://example.com/'])(
  'a callback to %s is refused at once',
  async (callback) => {
    const response = await fetch(`${harness.url}/jobs?callback=${encodeURIComponent(callback)}`, {
      method: 'POST',
      body: '8.8.8.8',
    })
    expect([400, 403]).toContain(response.status)
    expect(await response.json()).toMatchObject({ error: { message: expect.stringContaining('callback') } })
  },
)
