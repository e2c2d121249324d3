import { once } from 'node:events'
import { createServer } from 'node:http'
import { afterEach, expect, test } from '@jest/globals'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { asProxyError, errorHandler } from './error-handler.ts'
import { listen } from './listen.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  await Promise.all(cleanups.splice(0).map((cleanup) => cleanup()))
})

/** A server whose every request fails with `thrown`, and the errors that it tells of. */
async function failing(thrown: unknown, begun = false) {
  const told: ProxyError[] = []
  const handle = errorHandler((_res, error) => void told.push(error))
  const server = createServer((req, res) => {
    res.setHeader('Allow', 'GET')
    res.setHeader('ETag', '"of-the-other-answer"')
    if (begun) res.write('half an ans')
    handle(thrown, req, res, () => undefined)
  })
  const port = await listen(server, { port: 0, host: '127.0.0.1' })
  cleanups.push(async () => {
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  })
  return { url: `http://127.0.0.1:${port}/`, told }
}

/** An error as http-errors 2 makes them for Express and body-parser. */
function httpError(status: number, message = 'shown'): Error {
  return Object.assign(new Error(message), { status, statusCode: status, expose: status < 500 })
}

test('a ProxyError is answered with its status, its body and Retry-After', async () => {
  const error = new ProxyError('keys_exhausted', { retryAfterSeconds: 7, detail: 'secret detail' })
  const { url } = await failing(error)
  const res = await fetch(url)
  expect(res.status).toBe(503)
  expect(Object.fromEntries(res.headers)).toMatchObject({
    'content-type': 'application/json; charset=utf-8',
    'retry-after': '7',
    'cache-control': 'no-store',
    'access-control-allow-origin': '*',
    allow: 'GET',
  })
  expect(res.headers.has('etag')).toBe(false)
  expect(await res.text()).toBe(error.body())
})

test('an unknown failure is an internal error, told with its cause, and nothing of it is shown', async () => {
  const { url, told } = await failing(new TypeError('secret cause'))
  const res = await fetch(url)
  const body = await res.text()
  expect(res.status).toBe(500)
  expect(JSON.parse(body)).toMatchObject({ status: 500, error: { title: 'Internal error' } })
  expect(body).not.toMatch(/secret|TypeError| at |</)
  expect(told).toEqual([expect.objectContaining({ code: 'internal', cause: expect.any(TypeError) })])
})

test('HEAD gets the fields and no body', async () => {
  const { url } = await failing(new ProxyError('not_found'))
  const res = await fetch(url, { method: 'HEAD' })
  expect([res.status, await res.text()]).toEqual([404, ''])
  expect(Number(res.headers.get('content-length'))).toBeGreaterThan(10)
})

test('an answer that has begun is cut off and not mended', async () => {
  const { url } = await failing(new Error('late'), true)
  await expect(fetch(url).then((res) => res.text())).rejects.toThrow(/terminated|fetch failed/)
})

test.each([
  ['a malformed % in the path', new URIError('Failed to decode param'), 'bad_request'],
  ['broken JSON', httpError(400), 'bad_request'],
  ['a body over the limit', httpError(413), 'payload_too_large'],
  ['an unsupported charset', httpError(415), 'bad_request'],
  ['a target over the limit', httpError(414), 'uri_too_long'],
  ['an unknown path', httpError(404), 'not_found'],
  ['a wrong method', httpError(405), 'method_not_allowed'],
  ['an error of the framework itself', httpError(500), 'internal'],
  ['an upstream error that has a status', Object.assign(new Error('x'), { status: 404 }), 'internal'],
  ['a thrown string', 'oops', 'internal'],
  ['nothing at all', undefined, 'internal'],
])('%s becomes its code', (_what, thrown, code) => {
  expect(asProxyError(thrown).code).toBe(code)
})

test('what the framework said about a request stays out of the answer', () => {
  const error = asProxyError(httpError(400, 'Unexpected token s in secret'))
  expect(error.body()).not.toContain('secret')
  expect(error.cause).toBeInstanceOf(Error)
})
