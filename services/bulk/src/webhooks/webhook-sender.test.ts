import { once } from 'node:events'
import { createServer as createTcpServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Webhook } from 'standardwebhooks'
import { OwnAddresses } from '@ipfleet/net/own-addresses.ts'
import { readTargetItem } from '@ipfleet/net/target-list.ts'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { RecordingBackend } from '@ipfleet/testing/recording-backend.ts'
import { ScriptedBackend } from '@ipfleet/testing/scripted-backend.ts'
import { testCertificate, type TestCertificate } from '@ipfleet/testing/test-certificate.ts'
import { until } from '@ipfleet/testing/until.ts'
import { type ReceiverOptions, WebhookReceiver } from '../../test/webhook-receiver.ts'
import { WebhookSender } from './webhook-sender.ts'
import { WebhookSigner } from './webhook-signer.ts'
import { webhookPolicy } from './webhook-target.ts'

const secret = `whsec_${Buffer.alloc(32, 'a secret').toString('base64')}`
const message = { id: 'msg_1', body: '{"type":"job.completed","data":{"id":"ä"}}' }

interface Setup {
  readonly allow?: string
  readonly deadlineMs?: number
  readonly ca?: string
  /** What each look-up of any name finds, one after the other; the last one stays. */
  readonly found?: readonly (readonly string[])[]
}

function senderWith({ allow = '127.0.0.1', found = [['127.0.0.1']], ...rest }: Setup = {}) {
  const clock = manualClock()
  const asked: string[] = []
  const lookUp = async (name: string) => {
    asked.push(name)
    const addresses = found[Math.min(asked.length, found.length) - 1] ?? []
    if (addresses.length === 0) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })
    return addresses.map((address) => ({ address }))
  }
  const policy = webhookPolicy({
    allow: allow.split(',').flatMap((item) => readTargetItem(item) ?? []),
    deny: [],
    own: new OwnAddresses({ clock, blocks: [], list: () => [] }),
    clock,
    lookUp,
  })
  const sender = new WebhookSender({ policy, signer: new WebhookSigner([secret]), deadlineMs: 5000, ...rest })
  return { asked, send: (url: string) => sender.send(new URL(url), message) }
}

const answering = (status: number, headers: Readonly<Record<string, string>> = {}): ReceiverOptions => ({
  answer: (response) => void response.writeHead(status, headers).end('thanks'),
})

describe('a delivery', () => {
  test('is a POST of JSON that verifies with the ready-made library, and not with another secret', async () => {
    await using receiver = await WebhookReceiver.start()
    expect(await senderWith().send(`http://hooks.test:${receiver.port}/done?token=a%20b`)).toEqual({
      kind: 'delivered',
    })
    const [{ path, headers, body }] = receiver.deliveries as [(typeof receiver.deliveries)[0]]
    expect(path).toBe('/done?token=a%20b')
    expect(headers).toMatchObject({
      host: `hooks.test:${receiver.port}`,
      'content-type': 'application/json',
      'user-agent': 'ipfleet',
      'webhook-id': 'msg_1',
    })
    const fields = headers as Record<string, string>
    expect(new Webhook(secret).verify(body, fields)).toEqual(JSON.parse(message.body))
    const other = new Webhook(Buffer.alloc(32, 'another').toString('base64'))
    expect(() => other.verify(body, fields)).toThrow('No matching signature')
  })

  test.each([
    [200, { kind: 'delivered' }],
    [201, { kind: 'delivered' }],
    [204, { kind: 'delivered' }],
    [301, { kind: 'failed', fault: 'redirect' }],
    [304, { kind: 'failed', fault: 'redirect' }],
    [400, { kind: 'failed', fault: 'client_error' }],
    [404, { kind: 'failed', fault: 'client_error' }],
    [410, { kind: 'failed', fault: 'gone' }],
    [500, { kind: 'failed', fault: 'server_error' }],
    [999, { kind: 'failed', fault: 'garbled' }],
  ])('that is answered with %i ends as %j', async (status, end) => {
    await using receiver = await WebhookReceiver.start(answering(status))
    expect(await senderWith().send(`http://127.0.0.1:${receiver.port}/`)).toEqual(end)
  })

  test('that is put off says for how long', async () => {
    await using receiver = await WebhookReceiver.start(answering(503, { 'retry-after': '7' }))
    const end = await senderWith().send(`http://127.0.0.1:${receiver.port}/`)
    expect(end).toEqual({ kind: 'failed', fault: 'server_error', askedMs: 7000 })
  })
})

describe('a redirect is not followed', () => {
  test.each([301, 302, 303, 307, 308])('%i to a private address', async (status) => {
    await using inside = await WebhookReceiver.start({ host: '127.0.0.2' })
    const location = `http://127.0.0.2:${inside.port}/admin`
    await using receiver = await WebhookReceiver.start(answering(status, { location }))
    const end = await senderWith().send(`http://127.0.0.1:${receiver.port}/`)
    expect(end).toEqual({ kind: 'failed', fault: 'redirect' })
    expect(inside.connections).toBe(0)
  })
})

describe('only what was judged is dialled', () => {
  test('private targets get no connection, in any spelling', async () => {
    await using inside = await WebhookReceiver.start()
    const { send } = senderWith({ allow: '' })
    for (const host of ['127.0.0.1', '127.1', '0x7f.1', '[::ffff:127.0.0.1]', '[64:ff9b::7f00:1]', 'loopback.test']) {
      const end = await send(`http://${host}:${inside.port}/`)
      expect([host, end]).toEqual([host, { kind: 'failed', fault: 'refused' }])
    }
    expect(inside.connections).toBe(0)
  })

  test('a name that changes its address between the check and the connection does not get through', async () => {
    await using inside = await WebhookReceiver.start({ host: '127.0.0.1' })
    await using allowed = await WebhookReceiver.start({ host: '127.0.0.2', port: inside.port })
    const { send, asked } = senderWith({ allow: '127.0.0.2', found: [['127.0.0.2'], ['127.0.0.1']] })
    // Also a name that the system itself would look up.
    expect(await send(`http://localhost:${inside.port}/first`)).toEqual({ kind: 'delivered' })
    expect(asked).toEqual(['localhost'])
    expect(await send(`http://localhost:${inside.port}/second`)).toEqual({ kind: 'failed', fault: 'refused' })
    expect(allowed.deliveries.map(({ path }) => path)).toEqual(['/first'])
    expect(inside.connections).toBe(0)
  })

  test('of several addresses the private ones are left out, and the next one helps when one is down', async () => {
    await using inside = await WebhookReceiver.start({ host: '127.0.0.1' })
    await using allowed = await WebhookReceiver.start({ host: '127.0.0.3', port: inside.port })
    const { send } = senderWith({ allow: '127.0.0.2/31', found: [['127.0.0.1', '127.0.0.2', '127.0.0.3']] })
    expect(await send(`http://hooks.test:${inside.port}/`)).toEqual({ kind: 'delivered' })
    expect([allowed.deliveries.length, inside.connections]).toEqual([1, 0])
  })

  test('a name without addresses is unresolved', async () => {
    expect(await senderWith({ found: [[]] }).send('http://hooks.test/')).toEqual({
      kind: 'failed',
      fault: 'unresolved',
    })
  })
})

describe('TLS', () => {
  let certificate: TestCertificate
  beforeAll(async () => {
    certificate = await testCertificate({ names: ['hooks.test', '127.0.0.1'] })
  })
  afterAll(async () => {
    await certificate[Symbol.asyncDispose]()
  })

  test('is with the name of the URL, whatever address is dialled', async () => {
    await using receiver = await WebhookReceiver.start({ tls: certificate })
    const { send } = senderWith({ ca: certificate.cert })
    expect(await send(`https://hooks.test:${receiver.port}/`)).toEqual({ kind: 'delivered' })
    expect(await send(`https://hooks.test.:${receiver.port}/`)).toEqual({ kind: 'delivered' })
    expect(await send(`https://127.0.0.1:${receiver.port}/`)).toEqual({ kind: 'delivered' })
    expect(receiver.deliveries.map(({ serverName }) => serverName)).toEqual(['hooks.test', 'hooks.test', false])
    expect(receiver.deliveries[0]?.headers.host).toBe(`hooks.test:${receiver.port}`)
  })

  test('with a certificate for another name, or of an unknown authority, nothing is sent', async () => {
    await using receiver = await WebhookReceiver.start({ tls: certificate })
    const unfit = { kind: 'failed', fault: 'tls' }
    expect(await senderWith({ ca: certificate.cert }).send(`https://other.test:${receiver.port}/`)).toEqual(unfit)
    expect(await senderWith().send(`https://hooks.test:${receiver.port}/`)).toEqual(unfit)
    expect(receiver.deliveries).toEqual([])
  })

  test('is not spoken by every server', async () => {
    await using receiver = await WebhookReceiver.start()
    expect(await senderWith().send(`https://127.0.0.1:${receiver.port}/`)).toEqual({ kind: 'failed', fault: 'tls' })
  })
})

describe('whatever a receiver does, an attempt comes to its end:', () => {
  const deadlineMs = 300

  test('no server', async () => {
    const receiver = await WebhookReceiver.start()
    const { port } = receiver
    await receiver[Symbol.asyncDispose]()
    expect(await senderWith().send(`http://127.0.0.1:${port}/`)).toEqual({ kind: 'failed', fault: 'unreachable' })
  })

  test('silence', async () => {
    await using receiver = await ScriptedBackend.start()
    const end = senderWith({ deadlineMs }).send(`http://127.0.0.1:${receiver.port}/`)
    const wire = await receiver.accept()
    expect(await end).toEqual({ kind: 'failed', fault: 'timeout' })
    await wire.ended
  })

  test('a head that never ends', async () => {
    await using receiver = await ScriptedBackend.start()
    const end = senderWith({ deadlineMs }).send(`http://127.0.0.1:${receiver.port}/`)
    const wire = await receiver.accept()
    wire.write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX: ')
    const drip = setInterval(() => wire.write('x'), 20)
    expect(await end).toEqual({ kind: 'failed', fault: 'timeout' })
    clearInterval(drip)
  })

  test('a body that never ends, after a 200: that was the delivery', async () => {
    await using receiver = await ScriptedBackend.start()
    const end = senderWith({ deadlineMs }).send(`http://127.0.0.1:${receiver.port}/`)
    const wire = await receiver.accept()
    wire.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n')
    const drip = setInterval(() => wire.write('x'), 20)
    expect(await end).toEqual({ kind: 'delivered' })
    clearInterval(drip)
    await wire.ended
  })

  test('a flood: what it takes of it is little', async () => {
    await using receiver = await ScriptedBackend.start()
    const end = senderWith().send(`http://127.0.0.1:${receiver.port}/`)
    const wire = await receiver.accept()
    wire.write('HTTP/1.1 500 Oops\r\nContent-Length: 1000000000\r\n\r\n')
    for (let written = 0; written < 64 && wire.write('x'.repeat(65_536)); written += 1);
    expect(await end).toEqual({ kind: 'failed', fault: 'server_error' })
    await wire.ended
  })

  test('a head without measure', async () => {
    await using receiver = await ScriptedBackend.start()
    const end = senderWith().send(`http://127.0.0.1:${receiver.port}/`)
    const wire = await receiver.accept()
    wire.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`)
    expect(await end).toEqual({ kind: 'failed', fault: 'garbled' })
  })

  test.each([
    ['no HTTP', '220 mail.test ESMTP\r\n', 'garbled'],
    ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n', 'garbled'],
    ['half a head', 'HTTP/1.1 200 OK\r\nContent-', 'unreachable'],
    ['nothing', '', 'unreachable'],
  ])('%s, and then the end', async (_name, bytes, fault) => {
    await using receiver = await ScriptedBackend.start()
    const end = senderWith().send(`http://127.0.0.1:${receiver.port}/`)
    const wire = await receiver.accept()
    await wire.saw('job.completed')
    wire.write(bytes)
    wire.end()
    expect(await end).toEqual({ kind: 'failed', fault })
  })

  test('a connection that is reset', async () => {
    await using receiver = await ScriptedBackend.start()
    const end = senderWith().send(`http://127.0.0.1:${receiver.port}/`)
    const wire = await receiver.accept()
    wire.reset()
    expect(await end).toEqual({ kind: 'failed', fault: 'unreachable' })
  })

  test('a listener that answers no handshake', async () => {
    const server = createTcpServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const end = await senderWith({ deadlineMs }).send(`https://127.0.0.1:${port}/`)
    expect(end).toEqual({ kind: 'failed', fault: 'timeout' })
    server.close()
  })
})

test('a connection is for one attempt', async () => {
  await using receiver = await RecordingBackend.start()
  const { send } = senderWith()
  await send(`http://127.0.0.1:${receiver.port}/`)
  await send(`http://127.0.0.1:${receiver.port}/`)
  expect(receiver.faults).toEqual([])
  expect(receiver.requests.map(({ connection }) => connection)).toEqual([0, 1])
  await until(() => receiver.openConnections === 0)
})
