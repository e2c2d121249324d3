import { createServer, get, request } from 'node:http'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { once } from 'node:events'
import { afterEach, expect, test } from '@jest/globals'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { AccessLog } from './access-log.ts'
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
  const log = new AccessLog({ logger, clientOf: () => '192.0.2.7' })
  return { log, logger, lines, line: () => first.promise }
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
  return line.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/, 'TIME').replace(/(latency(?:_us":|=))[\d.]+/, '$1N')
}

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const entry = {
  id: 'req-1',
  traceId,
  method: 'GET',
  path: '/8.8.8.8?token=secret',
  status: 200,
  cache: 'miss',
  keyId: 'k1a2b3',
  upstreamStatus: 200,
  latencyUs: 41.7,
  client: '192.0.2.7',
}

const ways = ['begin', 'beginHot'] as const

test.each(['json', 'text'].flatMap((format) => ways.map((way) => [way, format as 'json' | 'text'] as const)))(
  'a request seen from its beginning (%s) and one told at its end are the same line in %s',
  async (way, format) => {
    const seen = captured({ format })
    const port = await serve((req, res) => {
      seen.log[way](req, res)
      answered(res, 200)
    })
    const traceparent = `00-${traceId}-00f067aa0ba902b7-00`
    ask(port, '/8.8.8.8?token=secret', { 'x-request-id': 'req-1', traceparent })
    const told = captured({ format })
    told.log.write(entry)
    expect(comparable(await seen.line())).toBe(comparable(told.lines[0] ?? ''))
  },
)

test.each(['json', 'text'] as const)('pino would write the same in %s', (format) => {
  const { log, lines, logger } = captured({ format, service: 'lookup' })
  const failure = { code: 'upstream_failed', detail: 'a "b"', cause: 'Error: …' } as const
  log.write({ ...entry, status: 502, items: { l1: 2 }, ...failure })
  const { path: _path, keyId: key, upstreamStatus: upstream_status, latencyUs: _latency, client, ...first } = entry
  const { id, traceId: trace_id, method, cache } = first
  const fields = {
    id,
    trace_id,
    method,
    path: '/8.8.8.8',
    status: 502,
    cache,
    key,
    upstream_status,
    latency_us: 42,
    client,
  }
  logger.warn({ ...fields, items: { l1: 2 }, ...failure }, 'request')
  expect(comparable(lines[0] ?? '')).toBe(comparable(lines[1] ?? ''))
})

const hit = { id: 'req-1', isForeignId: true, latencyUs: 41.7 }

test.each(['json', 'text'] as const)(
  'lines of hits are those of `write`, the first as the later ones, in %s',
  (format) => {
    const { log, lines } = captured({ format, service: 'lookup' })
    const common = { method: 'GET', status: 200, cache: 'l1' }
    let last
    for (const target of ['/8.8.8.8', '/8.8.8.8', '/8.8.8.8?token=secret', '/8.8.8.8/json', '/8.8.8.8']) {
      for (const known of [undefined, traceId]) {
        last = log.writeHit({ ...hit, target, traceId: known }, last)
        log.write({ ...common, id: hit.id, traceId: known, path: target, latencyUs: hit.latencyUs })
        expect(comparable(lines.at(-2) ?? '')).toBe(comparable(lines.at(-1) ?? ''))
      }
    }
    expect(lines).toHaveLength(20)
  },
)

test('a secret that became known is scrubbed from the lines of hits that were alike before', () => {
  const { log, logger, lines } = captured()
  const one = { ...hit, traceId: undefined, target: '/rotated-secret' }
  const last = log.writeHit(one, undefined)
  logger.sink.addSecrets(['rotated-secret'])
  log.writeHit({ ...one, id: `a-${canary}` }, last)
  expect(lines[0]).toContain('"path":"/rotated-secret"')
  expect(lines[1]).toContain('"id":"a-[redacted]"')
  expect(lines[1]).toContain('"path":"/[redacted]"')
})

test('a JSON line has its fields in a fixed order and no query', () => {
  const { log, lines } = captured()
  log.write(entry)
  expect(lines[0]).toMatch(
    /^\{"level":"info","time":"[^"]+","id":"req-1","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","method":"GET","path":"\/8\.8\.8\.8","status":200,"cache":"miss","key":"k1a2b3","upstream_status":200,"latency_us":42,"client":"192\.0\.2\.7","msg":"request"\}\n$/,
  )
})

test('a text line is readable in a terminal', () => {
  const { log, lines } = captured({ format: 'text' })
  log.write({ id: 'a', method: 'GET', path: '/8.8.8.8', status: 200, cache: 'l1', latencyUs: 42 })
  expect(lines[0]).toMatch(
    /^\S+Z INFO {2}request id=a method=GET path=\/8\.8\.8\.8 status=200 cache=l1 latency=0\.042ms\n$/,
  )
})

test.each([
  [{ status: 200 }, 'info'],
  [{ status: 404, code: 'not_found', level: 'debug' }, 'info'],
  [{ status: 401, code: 'unauthorized', level: 'warn' }, 'warn'],
  [{ status: 429 }, 'warn'],
  [{ status: 503 }, 'warn'],
  [{ status: 500, code: 'internal', level: 'error' }, 'error'],
  [{ status: 200, probe: true }, 'debug'],
  [{ status: 503, probe: true }, 'debug'],
  [{ status: 503, probe: true, code: 'overloaded', level: 'warn' }, 'warn'],
] as const)('%j is logged at %s', (of, level) => {
  const { log, lines } = captured({ level: 'debug' })
  log.write({ ...entry, ...of })
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level, status: of.status })
})

const hostile = '/"\\\n\u001b[2J\u009b\u007fé"}'

test.each(['json', 'text'] as const)('a hostile path stays inside its field in %s', (format) => {
  const { log, lines } = captured({ format })
  log.write({ ...entry, path: hostile, detail: hostile, code: 'internal' })
  expect(lines[0]).toMatch(/^[\x20-\x7eé]+\n$/)
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

test.each(ways)('a client that hangs up before the answer is logged as 499 (%s)', async (way) => {
  const { log, line } = captured()
  const port = await serve((req, res) => {
    log[way](req, res)
    client.destroy()
  })
  const client = request({ port, host: '127.0.0.1', path: '/slow' }).on('error', () => undefined)
  client.end()
  expect(JSON.parse(await line())).toMatchObject({ path: '/slow', status: 499 })
})

test('the answer has the id of its line, which is the one that came or a new one', async () => {
  const { log, lines } = captured()
  const port = await serve((req, res) => {
    res.end(log.begin(req, res).id)
  })
  const answerTo = async (id: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { 'x-request-id': id } })
    return [answer.headers.get('x-request-id'), await answer.text()]
  }
  const kept = await answerTo('abc')
  const [made, told] = await answerTo('a b"c')
  expect(kept).toEqual(['abc', 'abc'])
  expect(made).toMatch(/^[\da-f-]{36}$/)
  expect(told).toBe(made)
  expect(lines.map((line) => JSON.parse(line).id)).toEqual(['abc', made])
})

test('a failed request is one line with its code and the reasons, and a fault of this program has its stack', async () => {
  const { log, lines } = captured()
  const away = new ProxyError('store_away', { detail: 'jobs', cause: new Error('a', { cause: new Error('b') }) })
  const fault = Object.assign(new TypeError(`of ${canary}`), { circular: {} })
  fault.circular = fault
  const errors = [away, ProxyError.from(fault)]
  const port = await serve((req, res) => {
    log.beginHot(req, res)
    const error = errors.shift()
    if (error !== undefined) log.failed(res, error)
    res.writeHead(error?.status ?? 200).end()
  })
  await fetch(`http://127.0.0.1:${port}/`)
  await fetch(`http://127.0.0.1:${port}/`)
  const [first, second] = lines.map((line) => JSON.parse(line))
  expect(first).toMatchObject({
    level: 'warn',
    status: 503,
    code: 'store_away',
    detail: 'jobs',
    cause: 'Error: a: Error: b',
  })
  expect(second).toMatchObject({ level: 'error', status: 500, code: 'internal', err: { message: 'of [redacted]' } })
  expect(second.err.stack).toContain('access-log.test.ts')
  expect(lines.map((line) => line.trimEnd().split('\n').length)).toEqual([1, 1])
})

test('what was refused before it was a request has a line as well', () => {
  const { log, lines } = captured()
  log.refused({ id: 'made', status: 400, code: 'bad_request', client: '192.0.2.7' })
  const { time: _time, ...rest } = JSON.parse(lines[0] ?? '')
  expect(rest).toEqual({
    level: 'info',
    id: 'made',
    status: 400,
    client: '192.0.2.7',
    code: 'bad_request',
    msg: 'request',
  })
})
