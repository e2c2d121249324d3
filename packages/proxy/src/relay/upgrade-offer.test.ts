import { once } from 'node:events'
import { createServer, IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test } from '@jest/globals'
import type { UpgradeOffer } from './client-answer.ts'
import { asksForTunnel, mayBeFollowed, offerOf } from './upgrade-offer.ts'

function asked(headers: Record<string, string>, method = 'GET', httpVersion = '1.1'): IncomingMessage {
  return Object.assign(new IncomingMessage(new Socket()), { headers, method, httpVersion })
}

describe('a switch that is the backend’s to make', () => {
  test.each(['websocket', 'WebSocket', 'foo/2', 'websocket, foo', 'h2chat', 'xh2c', 'httpx'])(
    'is one to %s',
    (upgrade) => {
      expect(asksForTunnel(asked({ connection: 'Upgrade', upgrade }))).toBe(true)
    },
  )

  test.each(['h2c', 'H2C', 'h2', 'websocket, h2c', 'h2c,websocket', 'TLS/1.0', 'http/2.0', 'HTTP/3'])(
    'is none to %s: that would be this hop’s',
    (upgrade) => {
      expect(asksForTunnel(asked({ connection: 'Upgrade', upgrade }))).toBe(false)
    },
  )

  test.each([
    ['Upgrade', true],
    ['keep-alive, Upgrade', true],
    ['upgrade,x', true],
    ['x-upgrade', false],
    ['keep-alive', false],
    ['', false],
  ])('is asked for only if Connection says so: %j', (connection, asks) => {
    expect(asksForTunnel(asked({ connection, upgrade: 'websocket' }))).toBe(asks)
  })

  test('is not asked for without Upgrade or in HTTP/1.0', () => {
    const headers = { connection: 'Upgrade', upgrade: 'websocket' }
    expect(asksForTunnel(asked({ connection: 'Upgrade' }))).toBe(false)
    expect(asksForTunnel(asked(headers, 'GET', '1.0'))).toBe(false)
  })

  test.each(['POST', 'PUT', 'OPTIONS', 'HEAD'])('may be asked for by %s, with a body and without', (method) => {
    const headers = { connection: 'Upgrade', upgrade: 'tcp' }
    expect(asksForTunnel(asked(headers, method))).toBe(true)
    expect(asksForTunnel(asked({ ...headers, 'content-length': '5' }, method))).toBe(true)
    expect(asksForTunnel(asked({ ...headers, 'transfer-encoding': 'chunked' }, method))).toBe(true)
  })
})

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

/** A server that declines every switch. */
async function served(serve: (req: IncomingMessage, res: ServerResponse) => void): Promise<Socket> {
  const server = createServer({ shouldUpgradeCallback: () => false }, serve).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  closers.push(() => {
    socket.destroy()
    server.closeAllConnections()
    server.close()
  })
  return socket
}

describe('others may follow a request', () => {
  const plain = 'GET /x?y HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n'
  const upgrade = 'GET /x?y HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'

  test.each([
    ['without Upgrade', plain, true],
    ['without Upgrade, with others behind it', plain + plain, true],
    ['with one that comes alone', upgrade, true],
    ['with one that comes alone, and an empty value', upgrade.replace('Host: a', 'Host: a\r\nX: '), true],
    ['but not one that brings another along', upgrade + plain, false],
    ['nor one that brings the beginning of another', `${upgrade}G`, false],
    [
      'nor one with a body',
      upgrade.replace('GET', 'POST').replace('\r\n\r\n', '\r\nContent-Length: 1\r\n\r\nx'),
      false,
    ],
    ['nor one that is written so that this cannot be told', upgrade.replace('Host: a', 'Host:   a'), false],
  ])('%s', async (_what, bytes, may) => {
    const judged = Promise.withResolvers<boolean>()
    const socket = await served((req) => judged.resolve(mayBeFollowed(req)))
    socket.write(bytes)
    expect(await judged.promise).toBe(may)
  })

  test('that is not the first on its connection, unless it has no Upgrade', async () => {
    const judged: boolean[] = []
    const socket = await served((req, res) => {
      judged.push(mayBeFollowed(req))
      res.end()
    })
    for (const bytes of [plain, plain, upgrade]) {
      socket.write(bytes)
      await once(socket, 'data')
    }
    expect(judged).toEqual([true, true, false])
  })
})

interface Offered {
  readonly client: Socket
  readonly res: ServerResponse
  readonly offer: UpgradeOffer
}

async function offered(behind = ''): Promise<Offered> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
  client.write(`GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n${behind}`)
  const [req, socket, early] = (await once(server, 'upgrade')) as [IncomingMessage, Socket, Buffer]
  closers.push(() => {
    client.destroy()
    socket.destroy()
    server.close()
  })
  return { client, ...offerOf(req, socket, early) }
}

describe('an offer', () => {
  test('may be declined: the client gets an answer like any other, and the connection ends', async () => {
    const { client, res } = await offered('more')
    res.writeHead(403, { 'content-length': 2 }).end('no')
    expect(await text(client)).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n[^]*connection: close\r\n\r\nno$/i)
  })

  test('may be taken: the connection is given away, with what came early on it', async () => {
    const { client, res, offer } = await offered('early')
    offer.detach()
    expect([offer.early.toString(), res.socket]).toEqual(['early', null])
    offer.socket.write('raw')
    expect(String((await once(client, 'data'))[0])).toBe('raw')
    client.write('more')
    expect(String((await once(offer.socket, 'data'))[0])).toBe('more')
  })

  test('is over when the client leaves', async () => {
    const { client, res } = await offered()
    const closed = once(res, 'close')
    client.end()
    await closed
    expect(res.destroyed).toBe(true)
  })

  test('survives a client that resets its connection', async () => {
    const { client, res } = await offered()
    const closed = once(res, 'close')
    client.resetAndDestroy()
    await closed
    expect(res.destroyed).toBe(true)
  })

  test('tells the answer when the client takes more', async () => {
    const { client, res } = await offered()
    res.writeHead(200)
    const block = Buffer.alloc(1_000_000)
    while (res.write(block));
    const drained = once(res, 'drain')
    client.resume()
    await drained
  })
})
