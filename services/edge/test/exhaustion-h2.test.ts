import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { echo, RecordingBackend, type SeenRequest } from '@ipfleet/testing/recording-backend.ts'
import { until } from '@ipfleet/testing/until.ts'
import { h2, type H2Fields, headerBlock, H2Wire } from './h2-wire.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'
import { type TestCertificate, testCertificate } from './test-certificate.ts'

/** What one connection of HTTP/2 can cost: little, for a while, and others are served. */
let backend: RecordingBackend
let certificate: TestCertificate
let edge: RunningEdge
beforeAll(async () => {
  backend = await RecordingBackend.start(answer)
  certificate = await testCertificate()
  edge = await startEdge({
    backends: [backend.port],
    server: 'send_timeout_seconds = 1\nbody_timeout_seconds = 1\nkeep_alive_seconds = 6',
    upstreams: 'keep_alive_seconds = 0.5',
    tables: certificate.toml,
  })
})
afterAll(async () => {
  await edge.stop()
  await certificate[Symbol.asyncDispose]()
  await backend[Symbol.asyncDispose]()
})
beforeEach(() => backend.forget())

const wires: H2Wire[] = []
afterEach(() => {
  for (const wire of wires.splice(0)) wire.destroy()
})

async function wireTo(settings?: Buffer): Promise<H2Wire> {
  const wire = await H2Wire.to(edge.port, settings)
  wires.push(wire)
  return wire
}

/** To `/large` with ten megabytes, to everything else with what was asked. */
function answer(request: SeenRequest, socket: Socket): void {
  if (request.target !== '/large') return echo(request, socket)
  const body = Buffer.alloc(10_000_000)
  socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`)
  socket.write(body)
}

const get = (path: string): H2Fields => [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', path],
  [':authority', 'a'],
]

function residentBytes(): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${edge.pid}/status`, 'utf8'))?.[1]) * 1024
}

/** Somebody else is served, on a connection of its own, within what a busy machine may take for it. */
async function expectOthersServed(): Promise<void> {
  const startedMs = performance.now()
  const other = await wireTo()
  expect(await other.ask(get('/other'))).toMatchObject({ kind: 'answered' })
  expect(performance.now() - startedMs).toBeLessThan(10_000)
}

/** Does it again and again until the server hangs up, and gives how often that was. */
async function floodUntilEnded(wire: H2Wire, most: number, one: () => boolean): Promise<number> {
  for (let count = 0; count < most; count += 1) {
    if (wire.closed) return count
    // Lets what is written out, and what the server says in.
    if (!one() || count % 100 === 0) await sleep(1)
  }
  await wire.ended
  return most
}

test('streams that are opened and reset at once (CVE-2023-44487): the connection is ended, the backend hardly asked', async () => {
  const wire = await wireTo()
  const cancel = Buffer.from([0, 0, 0, 8])
  const flood = floodUntilEnded(wire, 50_000, () => wire.frame(h2.RST_STREAM, 0, wire.begin(get('/reset')), cancel))
  await expectOthersServed()
  expect(await flood).toBeLessThan(50_000)
  expect(backend.requests.filter(({ target }) => target === '/reset').length).toBeLessThan(1000)
  await expectOthersServed()
})

test('a client that resets streams on many connections gets no more of them, others are served', async () => {
  const cancel = Buffer.from([0, 0, 0, 8])
  let refused = 0
  // Some side by side, for they count within ten seconds.
  for (let round = 0; round < 5 && refused === 0; round += 1) {
    const crowd = await Promise.all(
      Array.from({ length: 12 }, () => H2Wire.to(edge.port, Buffer.alloc(0), '127.0.0.5')),
    )
    wires.push(...crowd)
    for (const wire of crowd) {
      // Fewer than end a connection by themselves.
      for (let count = 0; count < 150; count += 1) wire.frame(h2.RST_STREAM, 0, wire.begin(get('/reset')), cancel)
    }
    const ends = await Promise.all(crowd.map((wire) => wire.ask(get('/last'))))
    refused = ends.filter(({ kind }) => kind !== 'answered').length
    for (const wire of crowd) wire.destroy()
  }
  expect(refused).toBeGreaterThan(0)
  await expectOthersServed()
})

test('a head that never ends (CVE-2024-27316) ends the connection', async () => {
  const before = residentBytes()
  const wire = await wireTo()
  const stream = wire.begin(get('/endless'), h2.END_STREAM)
  const more = headerBlock([['x-a', 'x'.repeat(1000)]])
  expect(await floodUntilEnded(wire, 20_000, () => wire.frame(h2.CONTINUATION, 0, stream, more))).toBeLessThan(20_000)
  expect(residentBytes() - before).toBeLessThan(50_000_000)
  expect(backend.requests).toEqual([])
  await expectOthersServed()
})

test('a small head that unfolds to a large one is refused', async () => {
  const before = residentBytes()
  const wire = await wireTo()
  // A field of 4 KB goes into the table, and is then named 10,000 times by its number there.
  const bomb = Buffer.concat([
    Buffer.from([0x40, 3]),
    Buffer.from('x-a'),
    literalOf4000(),
    Buffer.alloc(10_000, 0x80 | 62),
  ])
  const stream = 1
  wire.frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, stream, Buffer.concat([headerBlock(get('/bomb')), bomb]))
  expect((await wire.endOf(stream)).kind).not.toBe('answered')
  expect(residentBytes() - before).toBeLessThan(50_000_000)
  expect(backend.requests).toEqual([])
  await expectOthersServed()
})

/** 4,000 is 127 + 33 + 30 * 128. */
function literalOf4000(): Buffer {
  return Buffer.concat([Buffer.from([127, 33 | 128, 30]), Buffer.alloc(4000, 'x')])
}

test.each([
  ['pings', h2.PING, Buffer.alloc(8)],
  ['settings', h2.SETTINGS, Buffer.alloc(0)],
])('%s whose answers are not read are not answered without end', async (_what, type, payload) => {
  const before = residentBytes()
  const wire = await wireTo()
  wire.socket.pause()
  const frames = (): boolean => Array.from({ length: 1000 }, () => wire.frame(type, 0, 0, payload)).every(Boolean)
  // Until it hangs up, or takes no more.
  for (let count = 0; count < 1000 && !wire.closed; count += 1) {
    if (frames()) await sleep(1)
    else if (!(await Promise.race([drained(wire), sleep(1000, false)]))) break
  }
  expect(residentBytes() - before).toBeLessThan(100_000_000)
  await expectOthersServed()
})

function drained({ socket, ended }: H2Wire): Promise<boolean> {
  const drain = new Promise<boolean>((resolve) => socket.once('drain', () => resolve(true)))
  return Promise.race([drain, ended.then(() => true)])
}

test('answers for which there is no room are held back, and given up after send_timeout', async () => {
  const before = residentBytes()
  // SETTINGS_INITIAL_WINDOW_SIZE 0: not a byte of a body may be sent.
  const wire = await wireTo(Buffer.from([0, 4, 0, 0, 0, 0]))
  // The last of these is hidden, and answered by the edge itself.
  const paths = Array.from({ length: 35 }, () => ['/large', '/small', '/stats']).flat()
  const streams = paths.map((path) => wire.begin(get(path)))
  await until(() => backend.requests.length >= 70)
  await expectOthersServed()
  expect(residentBytes() - before).toBeLessThan(100_000_000)
  const ends = await Promise.all(streams.map((stream) => wire.endOf(stream)))
  expect(new Set(ends.map(({ kind }) => kind))).toEqual(new Set(['reset']))
  await until(() => backend.openConnections === 0)
})

test('uploads that never go on are told 408', async () => {
  const wire = await wireTo()
  const post = get('/upload').map(([name, value]) => [name, value === 'GET' ? 'POST' : value] as const)
  const streams = Array.from({ length: 100 }, () => wire.begin(post, h2.END_HEADERS))
  await expectOthersServed()
  for (const stream of streams) expect(await wire.endOf(stream)).toMatchObject({ body: expect.stringContaining('408') })
  expect(backend.requests.filter(({ target }) => target === '/upload')).toEqual([])
})

test('a connection that is not used is closed after keep_alive', async () => {
  const [silent, served] = [await wireTo(), await wireTo()]
  await served.ask(get('/once'))
  await Promise.all([silent.ended, served.ended])
})
