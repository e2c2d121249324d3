import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { startFaultyTcpProxy } from '@ipfleet/testing/faulty-tcp-proxy.ts'
import { ScriptedBackend } from '@ipfleet/testing/scripted-backend.ts'
import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { ask } from './ask.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'

/** A client that leaves ends what it has asked for, wherever that is: the backend sees its connection close. */
let backend: ScriptedBackend
let edge: RunningEdge
let client: Wire
beforeAll(async () => {
  backend = await ScriptedBackend.start()
  edge = await startEdge({ backends: [backend.port], upstreams: 'max_connections = 1' })
})
afterEach(() => client.destroy())
afterAll(async () => {
  await edge.stop()
  await backend[Symbol.asyncDispose]()
})

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
const post = (path: string, framing: string): string => `POST ${path} HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`

async function asking(request: string): Promise<Wire> {
  client = await Wire.to(edge.port)
  client.write(request)
  const server = await backend.accept()
  await server.saw('\r\n\r\n')
  return server
}

/** The access line of a request that its client did not wait for. */
async function leftAlone(path: string): Promise<void> {
  expect(await edge.waitForLine((line) => line['path'] === path)).toMatchObject({
    status: 499,
    backend: `127.0.0.1:${backend.port}`,
  })
}

describe.each(['destroy', 'reset', 'end'] as const)('a client that leaves (%s)', (leave) => {
  test('before any answer', async () => {
    const path = `/before-${leave}`
    const server = await asking(get(path))
    client[leave]()
    await server.ended
    await leftAlone(path)
  })

  test('in the middle of its upload', async () => {
    const path = `/upload-${leave}`
    const server = await asking(`${post(path, 'Content-Length: 1000')}some`)
    await server.saw('some')
    client[leave]()
    await server.ended
    await leftAlone(path)
  })

  test('between two chunks of its upload', async () => {
    const path = `/chunks-${leave}`
    const server = await asking(`${post(path, 'Transfer-Encoding: chunked')}4\r\nsome\r\n`)
    await server.saw('some')
    client[leave]()
    await server.ended
    // The end of the body must not be made up.
    expect(server.text).not.toContain('\r\n0\r\n')
    await leftAlone(path)
  })

  test('when it has got a part of the answer, which goes on', async () => {
    const path = `/part-${leave}`
    const server = await asking(get(path))
    server.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n')
    await client.saw('some')
    client[leave]()
    await server.ended
    await leftAlone(path)
  })
})

test('a client that leaves an answer unread that is larger than all buffers', async () => {
  const server = await asking(get('/unread'))
  client.socket.pause()
  server.write('HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n')
  server.write(Buffer.alloc(50_000_000))
  await until(() => server.socket.bytesWritten > 500_000)
  client.destroy()
  await server.ended
  await leftAlone('/unread')
})

test('a client that leaves while it waits for a connection: its request is never sent', async () => {
  const server = await asking(get('/first'))
  const waiting = await Wire.to(edge.port)
  waiting.write(get('/waiting'))
  const { body } = await until(async () => {
    const metrics = await ask(edge.port, '/metrics')
    return /state="waiting"} 1/.test(metrics.body) && metrics
  })
  expect(body).toContain('state="busy"} 1')
  waiting.destroy()
  await leftAlone('/waiting')
  server.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone')
  await client.saw('done')
  client.write(get('/second'))
  await server.saw('/second')
  expect(server.text).not.toContain('/waiting')
  server.destroy()
})

test('a client that leaves while Redis is asked whether it may: its request is never sent', async () => {
  const redis = await startTestRedis()
  const link = await startFaultyTcpProxy({ targetPort: redis.port })
  await using limiting = await startEdge({
    backends: [backend.port],
    tables: '[rate_limit]\nmax_requests = 1000',
    env: { REDIS_URL: `redis://127.0.0.1:${link.port}`, REDIS_TIMEOUT_MS: '1000' },
  })
  try {
    await limiting.waitForLine(({ msg }) => msg === 'redis is up')
    await link.mode({ delayMs: 300 })
    client = await Wire.to(limiting.port)
    client.write(get('/gone'))
    client.destroy()
    expect(await limiting.waitForLine((line) => line['path'] === '/gone')).toMatchObject({ status: 499 })
    const next = await Wire.to(limiting.port)
    next.write(get('/next'))
    const server = await backend.accept()
    expect(await server.saw('\r\n\r\n')).toMatch(/^GET \/next /)
    next.destroy()
  } finally {
    await link.close()
    await redis.stop()
  }
})
