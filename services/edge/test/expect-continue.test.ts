import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { ScriptedBackend } from '@ipfleet/testing/scripted-backend.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'

/** A client that asks before it sends a body is answered by who will read it (RFC 9110 §10.1.1). */
let backend: ScriptedBackend
let edge: RunningEdge
let client: Wire
const known = Array.from({ length: 50 }, (_, index) => String(index))
beforeAll(async () => {
  backend = await ScriptedBackend.start()
  edge = await startEdge({
    backends: [backend.port],
    server: 'max_body_bytes = 1000',
    tables: `[rate_limit]\nmax_requests = 1\nkey_extractor = "header:x-client"\nknown = ${JSON.stringify(known)}`,
  })
})
afterEach(() => client.destroy())
afterAll(async () => {
  await edge.stop()
  await backend[Symbol.asyncDispose]()
})

let clients = 0

/** Sends the head of an upload of a client that nobody has seen before. */
async function announce(...fields: string[]): Promise<void> {
  clients += 1
  client = await Wire.to(edge.port)
  client.write(['POST / HTTP/1.1', 'Host: a', `X-Client: ${clients}`, ...fields, '', ''].join('\r\n'))
}

test('the client is told to go on when the backend says so, and not before', async () => {
  await announce('Content-Length: 4', 'Expect: 100-Continue')
  const server = await backend.accept()
  expect(await server.saw('\r\n\r\n')).toMatch(/^Expect: 100-continue\r$/m)
  // Had the edge said so by itself, it would have done it when it read the request.
  expect(client.text).toBe('')
  server.write('HTTP/1.1 100 Continue\r\n\r\n')
  expect(await client.saw('\r\n\r\n')).toBe('HTTP/1.1 100 Continue\r\n\r\n')
  client.write('body')
  await server.saw('body')
  server.write('HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
  await client.saw('HTTP/1.1 201 Created')
})

test('a client that was told to go on keeps its connection', async () => {
  await announce('Content-Length: 4', 'Expect: 100-continue')
  const server = await backend.accept()
  await server.saw('\r\n\r\n')
  server.write('HTTP/1.1 100 Continue\r\n\r\n')
  await client.saw('100 Continue')
  client.write('body')
  await server.saw('body')
  server.write('HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
  expect(await client.saw('Created')).not.toMatch(/^Connection: close\r$/im)
  clients += 1
  client.write(`GET /next HTTP/1.1\r\nHost: a\r\nX-Client: ${clients}\r\n\r\n`)
  const next = await backend.accept()
  await next.saw('GET /next')
  next.write('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nnext')
  await client.saw('next')
})

test('a client that does not wait is served all the same', async () => {
  await announce('Transfer-Encoding: chunked', 'Expect: 100-continue')
  client.write('4\r\nbody\r\n0\r\n\r\n')
  const server = await backend.accept()
  await server.saw('4\r\nbody\r\n0\r\n\r\n')
  server.write('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
  await client.saw('HTTP/1.1 200 OK')
  expect(client.text).not.toContain('100 Continue')
})

test('a backend that refuses is heard without the body', async () => {
  await announce('Content-Length: 400', 'Expect: 100-continue')
  const server = await backend.accept()
  await server.saw('\r\n\r\n')
  server.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 6\r\n\r\nno way')
  await client.saw('no way')
  expect(client.text).toMatch(/^HTTP\/1\.1 401 Unauthorized\r\n/)
  expect(client.text).toMatch(/^Connection: close\r$/m)
  expect(await client.ended).toBe('closed')
})

describe('a refusal of the edge comes without the body and without the backend:', () => {
  test('413 for one that is too large', async () => {
    await announce('Content-Length: 1001', 'Expect: 100-continue')
    await client.saw('The body is over the limit')
    expect(client.text).toMatch(/^HTTP\/1\.1 413 .*\r\n/)
    expect(await client.ended).toBe('closed')
  })

  test('429 for a client that has asked too often', async () => {
    await announce('Content-Length: 4', 'Expect: 100-continue')
    clients -= 1
    const server = await backend.accept()
    client.destroy()
    await server.ended
    await announce('Content-Length: 4', 'Expect: 100-continue')
    await client.saw(/^retry-after: \d+\r$/im)
    expect(client.text).toMatch(/^HTTP\/1\.1 429 .*\r\n/)
    expect(await client.ended).toBe('closed')
  })

  test.each(['200-ok', '100-continue, x', 'x 100-continue'])('417 for one that expects %s', async (expectation) => {
    await announce('Content-Length: 4', `Expect: ${expectation}`)
    await client.saw('no expectation but 100-continue')
    expect(client.text).toMatch(/^HTTP\/1\.1 417 .*\r\n/)
    expect(client.text).toMatch(/^content-type: application\/json/im)
    expect(await client.ended).toBe('closed')
  })
})

describe('when nothing comes any more,', () => {
  const server = 'body_timeout_seconds = 0.5'

  test.each([
    ['nothing', ''],
    ['no more than 103', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'],
  ])('it is 504 where the backend has said %s, and no reason to leave that backend out', async (_what, said) => {
    const upstreams = 'answer_timeout_seconds = 2'
    await using impatient = await startEdge({ backends: [backend.port], server, upstreams })
    client = await Wire.to(impatient.port)
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n')
    const silent = await backend.accept()
    if (said !== '') silent.write(said)
    await client.saw(/^HTTP\/1\.1 504 /m)
    client.destroy()
    client = await Wire.to(impatient.port)
    client.write('GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    await client.ended
    expect(client.text).toMatch(/^ipfleet_edge_backend_requests_total\{backend="[^"]+",end="unknown"\} 1$/m)
  })

  test('a client that was told to go on is', async () => {
    await using impatient = await startEdge({ backends: [backend.port], server })
    client = await Wire.to(impatient.port)
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n')
    ;(await backend.accept()).write('HTTP/1.1 100 Continue\r\n\r\n')
    await client.saw(/^HTTP\/1\.1 408 /m)
    expect(client.text).toMatch(/^HTTP\/1\.1 100 /)
  })
})

test('HTTP/1.0 has no such expectation: it is ignored, and no interim answer comes', async () => {
  clients += 1
  client = await Wire.to(edge.port)
  client.write(`POST / HTTP/1.0\r\nX-Client: ${clients}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody`)
  const server = await backend.accept()
  await server.saw('body')
  server.write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok')
  expect(await client.saw('ok')).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
})
