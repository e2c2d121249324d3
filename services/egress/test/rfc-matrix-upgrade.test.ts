import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { until } from '@ipfleet/testing/until.ts'
import { acceptance } from '@ipfleet/testing/websocket-server.ts'
import { bodyOf, okHead, ProxyHarness, requestHead, webSocketFields } from './proxy-harness.ts'

/** A switch of protocols that is asked for in absolute-form, without CONNECT. */
const source = '127.0.0.2'
let harness: ProxyHarness
beforeAll(async () => {
  harness = await ProxyHarness.start({ IP_POOL: source })
})
afterEach(() => harness.clear())
afterAll(() => harness[Symbol.asyncDispose]())

describe('a WebSocket', () => {
  test('is asked for and agreed on, with nothing that is for one hop only', async () => {
    const { client, server } = await harness.ask(harness.handshake('Keep-Alive: timeout=5'))
    expect(server.text).toBe(
      [
        'GET /chat HTTP/1.1',
        `Host: ${harness.authority}`,
        ...webSocketFields,
        'X-Forwarded-For: 127.0.0.1',
        'X-Real-IP: 127.0.0.1',
        'Via: 1.1 ipfleet-egress',
        'Connection: Upgrade',
        'Upgrade: websocket',
        '\r\n',
      ].join('\r\n'),
    )
    server.write(acceptance(server.text, 'Keep-Alive: timeout=5', 'Set-Cookie: a=1', 'Set-Cookie: b=2'))
    expect(await client.saw('\r\n\r\n')).toBe(
      [
        'HTTP/1.1 101 Switching Protocols',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
        'Set-Cookie: a=1',
        'Set-Cookie: b=2',
        `X-Egress-IP: ${source}`,
        'Via: 1.1 ipfleet-egress',
        '\r\n',
      ].join('\r\n'),
    )
  })

  test('may be asked for by ws://', async () => {
    const { client, server } = await harness.ask(harness.handshake().replace('GET http://', 'GET WS://'))
    expect(server.text).toMatch(/^GET \/chat HTTP\/1\.1\r\n/)
    server.write(acceptance(server.text))
    await client.saw(/^HTTP\/1\.1 101 /)
  })

  test('may be asked for by its path alone on a connection that has asked for a URL before', async () => {
    const { client, server } = await harness.get('/page')
    server.write(`${okHead('Content-Length: 2')}ok`)
    await client.saw('ok')
    client.write(harness.handshake(`Host: ${harness.authority}`).replace(harness.url(''), ''))
    const next = await harness.accept()
    expect(await next.saw('\r\n\r\n')).toContain(`GET /chat HTTP/1.1\r\nHost: ${harness.authority}\r\n`)
    next.write(acceptance(next.text))
    await client.saw(' 101 ')
  })

  test.each([
    ['its path alone, on a new connection', () => harness.handshake().replace(harness.url(''), '')],
    ['ws:// without an upgrade', () => requestHead(`GET ${harness.url().replace('http:', 'ws:')}`)],
    ['wss://', () => harness.handshake().replace('GET http:', 'GET wss:')],
  ])('is not asked for by %s', async (_what, asked) => {
    const client = await harness.client(asked())
    expect(await client.saw('\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
    expect(harness.origin.waiting).toBe(0)
  })

  test('loses nothing of what is said before the other side has agreed', async () => {
    const { client, server } = await harness.ask(`${harness.handshake()}early from the client, `)
    client.write('more of it')
    server.write(`${acceptance(server.text)}early from the origin`)
    await client.saw('\r\n\r\nearly from the origin')
    await server.saw('\r\n\r\nearly from the client, more of it')
  })

  test('carries bytes of all kinds both ways', async () => {
    const { client, server } = await harness.switched()
    const many = Buffer.alloc(500_000, Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)))
    client.write(many)
    server.write(many)
    for (const wire of [client, server]) {
      await until(() => bodyOf(wire).length >= many.length)
      expect(Buffer.from(bodyOf(wire), 'latin1').equals(many)).toBe(true)
    }
  })

  test.each(['client', 'server'] as const)(
    'has two directions, of which each ends by itself: %s first',
    async (first) => {
      const ends = await harness.switched()
      const other = first === 'client' ? ends.server : ends.client
      ends[first].write('last words')
      ends[first].end()
      await other.saw('last words')
      expect(await other.ended).toBe('closed')
      other.write('an answer to the last words')
      await ends[first].saw('an answer to the last words')
      other.end()
      expect(await ends[first].ended).toBe('closed')
    },
  )

  test('ends for one side when it breaks for the other', async () => {
    const { client, server } = await harness.switched()
    client.reset()
    await server.ended
  })
})

/** Values of metrics of this egress, by name with labels; 0 for those that are not there yet. */
async function metrics(...series: readonly string[]): Promise<number[]> {
  const lines = (await harness.egress.metrics()).split('\n')
  return series.map((one) =>
    Number(
      lines
        .find((line) => line.startsWith(`${one} `))
        ?.split(' ')
        .at(-1) ?? 0,
    ),
  )
}

describe('a switch that has been made is told of as a tunnel is', () => {
  test('in the log: a request when it stands; at its end bytes both ways, source, target, reason', async () => {
    const path = '/told-in-the-log'
    const { client, server } = await harness.ask(`${harness.handshake().replace('/chat', path)}12345`)
    server.write(`${acceptance(server.text)}123`)
    await client.saw('\r\n\r\n123')
    expect(await harness.egress.waitForLine((line) => line['path'] === path)).toMatchObject({
      msg: 'request',
      method: 'GET',
      status: 101,
      source,
    })
    client.write('67')
    await server.saw('1234567')
    client.end()
    server.end()
    expect(
      await harness.egress.waitForLine((line) => line['bytes_up'] === 7 && line['bytes_down'] === 3),
    ).toMatchObject({
      msg: 'tunnel closed',
      target: harness.authority,
      source,
      client: '127.0.0.1',
      end: 'closed',
      duration_ms: expect.any(Number),
    })
  })

  test('in the metrics: open tunnels and bytes of its source address, and its end', async () => {
    const openTunnels = `ipfleet_egress_source_tunnels{source="${source}"}`
    const [up, down] = ['up', 'down'].map(
      (way) => `ipfleet_egress_source_bytes_total{source="${source}",direction="${way}"}`,
    )
    const counted = [up ?? '', down ?? '', 'ipfleet_egress_tunnels_ended_total{end="closed"}']
    await until(async () => (await metrics(openTunnels))[0] === 0)
    const [upBefore = 0, downBefore = 0, endedBefore = 0] = await metrics(...counted)
    const { client, server } = await harness.switched()
    expect(await metrics(openTunnels)).toEqual([1])
    client.write('12345')
    await server.saw('12345')
    server.write('123')
    await client.saw('\r\n\r\n123')
    client.end()
    server.end()
    await until(async () => (await metrics(openTunnels))[0] === 0)
    expect(await metrics(...counted)).toEqual([upBefore + 5, downBefore + 3, endedBefore + 1])
  })
})

describe('a switch that is declined', () => {
  test('is an ordinary answer, the last one on its connection', async () => {
    const { client, server } = await harness.ask(harness.handshake())
    server.write(`${okHead('Content-Length: 2')}no`)
    await client.saw('no')
    expect(client.text).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(client.text).toMatch(/^Connection: close\r$/m)
    expect(await client.ended).toBe('closed')
  })

  test('may be a refusal that says what would do', async () => {
    const { client, server } = await harness.ask(harness.handshake())
    server.write('HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 8\r\nContent-Length: 0\r\n\r\n')
    expect(await client.saw('\r\n\r\n')).toMatch(/^HTTP\/1\.1 426 .*\r\nSec-WebSocket-Version: 8\r\n/s)
  })

  test('may break off, which is seen', async () => {
    const { client, server } = await harness.ask(harness.handshake())
    server.write(`${okHead('Content-Length: 100')}part`)
    await client.saw('part')
    server.destroy()
    await client.ended
    expect(bodyOf(client)).toBe('part')
  })
})

test('a switch that nobody asked for is 502', async () => {
  const { client, server } = await harness.get('/')
  server.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  expect(await client.saw(/\r\n\r\n.*}/s)).toMatch(
    /^HTTP\/1\.1 502 .*proxy-status: ipfleet-egress; error=http_protocol_error/is,
  )
})

test('a switch that is asked for behind an unanswered request is not made, and harms nobody', async () => {
  const { client, server } = await harness.ask(requestHead(`GET ${harness.url('/first')}`) + harness.handshake())
  server.write(`${okHead('Content-Length: 5')}first`)
  await client.saw('first')
  const next = await harness.accept()
  expect(await next.saw('\r\n\r\n')).not.toMatch(/^upgrade:/im)
  next.write(`${okHead('Content-Length: 6')}second`)
  await client.saw('second')
})
