import { createServer, get, request } from 'node:http'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { once } from 'node:events'
import { afterEach, expect, test } from '@jest/globals'
import { createAccessLog } from './access-log.ts'
import { createLogger } from './logger.ts'
import type { LoggerOptions } from './logger.ts'
import { traceOf } from './request-trace.ts'

const canary = 'canary-4f9c2a71d0'
const cleanups: (() => void)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

/** A log whose first line can be awaited. */
function captured(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = []
  const first = Promise.withResolvers<string>()
  const destination = {
    write(line: string) {
      lines.push(line)
      first.resolve(line)
    },
  }
  const logger = createLogger({ level: 'info', format: 'json', secrets: [canary], destination, ...options })
  const log = createAccessLog({ logger, clientOf: () => '192.0.2.7' })
  return { log, lines, line: () => first.promise }
}

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  cleanups.push(() => {
    server.close()
    server.closeAllConnections()
  })
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

function ask(port: number, path: string, headers: Record<string, string> = {}): void {
  get({ port, host: '127.0.0.1', path, headers }, (res: IncomingMessage) => res.resume()).on('error', () => undefined)
}

function answered(res: ServerResponse, status: number): void {
  Object.assign(traceOf(res), { cache: 'miss', keyId: 'k1a2b3', upstreamStatus: 200 })
  res.statusCode = status
  res.end('ok')
}

/** A line without what differs from run to run. */
function comparable(line: string): string {
  return line.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/, 'TIME').replace(/(latency(?:_us":|=))\d+/, '$1N')
}

const entry = {
  id: 'req-1',
  method: 'GET',
  path: '/8.8.8.8?token=secret',
  status: 200,
  cache: 'miss',
  keyId: 'k1a2b3',
  upstreamStatus: 200,
  latencyUs: 41.7,
  client: '192.0.2.7',
}

test.each(['json', 'text'] as const)('the middleware and the fast path write the same line in %s', async (format) => {
  const slow = captured({ format })
  const port = await serve((req, res) => slow.log.middleware(req, res, () => answered(res, 200)))
  ask(port, '/8.8.8.8?token=secret', { 'x-request-id': 'req-1' })
  const fast = captured({ format })
  fast.log.write(entry)
  expect(comparable(await slow.line())).toBe(comparable(fast.lines[0] ?? ''))
})

test('a JSON line has its fields in a fixed order and no query', () => {
  const { log, lines } = captured()
  log.write(entry)
  expect(lines[0]).toMatch(
    /^\{"level":"info","time":"[^"]+","id":"req-1","method":"GET","path":"\/8\.8\.8\.8","status":200,"cache":"miss","key":"k1a2b3","upstream_status":200,"latency_us":42,"client":"192\.0\.2\.7","msg":"request"\}\n$/,
  )
})

test('a text line is readable in a terminal', () => {
  const { log, lines } = captured({ format: 'text' })
  log.write({ method: 'GET', path: '/8.8.8.8', status: 200, cache: 'l1', latencyUs: 42 })
  expect(lines[0]).toMatch(/^\S+Z INFO {2}request method=GET path=\/8\.8\.8\.8 status=200 cache=l1 latency=42us\n$/)
})

test.each([200, 404, 429, 500])('status %d has the same level on both ways', async (status) => {
  const slow = captured()
  const port = await serve((req, res) => slow.log.middleware(req, res, () => answered(res, status)))
  ask(port, '/')
  const fast = captured()
  fast.log.write({ ...entry, status })
  const level = status === 429 || status === 500 ? 'warn' : 'info'
  expect([JSON.parse(await slow.line()), JSON.parse(fast.lines[0] ?? '')]).toEqual([
    expect.objectContaining({ level, status }),
    expect.objectContaining({ level, status }),
  ])
})

const hostile = '/"\\\n\u001b[2J\u009b\u007fé"}'

test.each(['json', 'text'] as const)('a hostile path stays inside its field in %s', (format) => {
  const { log, lines } = captured({ format })
  log.write({ ...entry, path: hostile })
  expect(lines[0]).toMatch(/^[\x20-\x7e]+\n$/)
})

test('a hostile path is read back as it was sent', () => {
  const { log, lines } = captured()
  log.write({ ...entry, path: hostile })
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ path: hostile })
})

test('a very long path is cut', () => {
  const { log, lines } = captured()
  log.write({ ...entry, path: `/${'a'.repeat(20_000)}` })
  expect(lines[0]?.length).toBeLessThan(1400)
})

test('a secret in the path or the id is scrubbed on the fast path too', () => {
  const { log, lines } = captured()
  log.write({ ...entry, id: canary, path: `/${canary}/x` })
  expect(lines[0]).toContain('"path":"/[redacted]/x"')
  expect(lines[0]).not.toContain(canary)
})

test('above level info the fast path writes only what went wrong', () => {
  const { log, lines } = captured({ level: 'warn' })
  expect(log.enabled).toBe(false)
  log.write(entry)
  log.write({ ...entry, status: 503 })
  expect(lines).toEqual([expect.stringContaining('"status":503')])
})

test('a client that hangs up before the answer is logged as 499', async () => {
  const { log, line } = captured()
  const port = await serve((req, res) => log.middleware(req, res, () => client.destroy()))
  const client = request({ port, host: '127.0.0.1', path: '/slow' }).on('error', () => undefined)
  client.end()
  expect(JSON.parse(await line())).toMatchObject({ path: '/slow', status: 499 })
})

test('the request logger says the id and never the headers', async () => {
  const { log, line } = captured()
  const port = await serve((req, res) =>
    log.middleware(req, res, () => {
      req.log.info('inside')
      res.end()
    }),
  )
  ask(port, '/', { authorization: 'Bearer client-token', 'x-request-id': 'abc' })
  const { level: _level, time: _time, ...rest } = JSON.parse(await line())
  expect(rest).toEqual({ id: 'abc', msg: 'inside' })
})

test('an id that is not an id is left out', async () => {
  const { log, line } = captured()
  const port = await serve((req, res) => log.middleware(req, res, () => res.end()))
  ask(port, '/', { 'x-request-id': 'a b"c' })
  expect(JSON.parse(await line())).not.toHaveProperty('id')
})
