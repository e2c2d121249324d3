import { readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { edgeFlags } from '@ipfleet/testing/memory-flags.ts'
import { RecordingBackend } from '@ipfleet/testing/recording-backend.ts'
import { until } from '@ipfleet/testing/until.ts'
import { h2Ask, h2Session } from './h2-ask.ts'
import { h2, type H2Fields, headerBlock, H2Wire } from './h2-wire.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'
import { type TestCertificate, testCertificate } from './test-certificate.ts'

/** What one client can hold by streams of HTTP/2: with default settings it shuts nobody out. */
let backend: RecordingBackend
let certificate: TestCertificate
let edge: RunningEdge
beforeAll(async () => {
  backend = await RecordingBackend.start()
  certificate = await testCertificate()
  edge = await startEdge({ backends: [backend.port], tables: certificate.toml, nodeFlags: edgeFlags })
})
afterAll(async () => {
  await edge.stop()
  await certificate[Symbol.asyncDispose]()
  await backend[Symbol.asyncDispose]()
})

const wires: H2Wire[] = []
afterEach(() => {
  for (const wire of wires.splice(0)) wire.destroy()
})

const fields = (method: string, path: string): H2Fields => [
  [':method', method],
  [':scheme', 'https'],
  [':path', path],
  [':authority', 'a'],
]

async function wireFrom(from?: string): Promise<H2Wire> {
  const wire = await H2Wire.to(edge.port, undefined, from)
  wires.push(wire)
  return wire
}

async function expectOthersServed(): Promise<void> {
  const other = await wireFrom('127.0.0.2')
  for (const path of ['/other', '/jobs/1']) {
    expect(await other.ask(fields('GET', path))).toMatchObject({
      kind: 'answered',
      body: expect.stringContaining(path),
    })
  }
  other.destroy()
}

function residentBytes(): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${edge.pid}/status`, 'utf8'))?.[1]) * 1024
}

test('3 connections with 100 bodies each that do not come hold no connection to the backend', async () => {
  for (let count = 0; count < 3; count += 1) {
    const wire = await wireFrom()
    for (let stream = 0; stream < 100; stream += 1) {
      wire.frame(h2.DATA, 0, wire.begin(fields('POST', '/upload'), h2.END_HEADERS), Buffer.from('x'))
    }
    await wire.ask(fields('GET', '/behind'))
  }
  await expectOthersServed()
})

test('150 connections with 120 unfinished streams of large fields each cost little; those over the limit are told', async () => {
  const before = residentBytes()
  // Goes into the table, and is named by its number there from then on: 16 KB of fields in three bytes.
  const large = Buffer.concat([
    Buffer.from([0x40, 3]),
    Buffer.from('x-a'),
    Buffer.from([127, 161, 30]),
    Buffer.alloc(4000, 'x'),
  ])
  const head = headerBlock(fields('POST', '/upload'))
  for (let count = 0; count < 150; count += 1) await wireFrom()
  const lastStream = 241
  for (const wire of wires) {
    for (let stream = 1; stream < lastStream; stream += 2) {
      const more = stream === 1 ? Buffer.concat([large, Buffer.alloc(2, 190)]) : Buffer.alloc(3, 190)
      wire.frame(h2.HEADERS, h2.END_HEADERS, stream, Buffer.concat([head, more]))
    }
    wire.frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, lastStream, headerBlock(fields('GET', '/behind')))
  }
  // When a connection's last stream has ended in any way, all before it has been read.
  for (const wire of wires) await wire.endOf(lastStream)
  expect(wires.some((wire) => wire.heard('max_connections_per_client'))).toBe(true)
  await expectOthersServed()
  const grownMb = Math.round((residentBytes() - before) / 1e6)
  process.stdout.write(`18,000 unfinished streams of one client: + ${grownMb} MB\n`)
  expect(grownMb).toBeLessThan(180)
  expect(edge.output()).toContain('"setting":"max_connections_per_client"')
})

test('a client that goes on after its refusals is told to be calm', async () => {
  const insistent = await wireFrom('127.0.0.3')
  for (let count = 0; count < 8; count += 1) {
    const wire = await wireFrom('127.0.0.3')
    for (let stream = 0; stream < 125; stream += 1) wire.begin(fields('POST', '/upload'), h2.END_HEADERS)
    await wire.ask(fields('GET', '/behind'))
  }
  const ENHANCE_YOUR_CALM = 11
  expect(await insistent.ask(fields('GET', '/more'))).toMatchObject({
    body: expect.stringContaining('max_connections_per_client'),
  })
  const ends = await Promise.all(Array.from({ length: 100 }, () => insistent.ask(fields('GET', '/more'))))
  expect(ends).toContainEqual({ kind: 'reset', code: ENHANCE_YOUR_CALM })
  await insistent.ended
  await expectOthersServed()
})

test('uploads that are refused before they are read give their streams back', async () => {
  await using silent = await RecordingBackend.start(() => undefined)
  await using narrow = await startEdge({
    backends: [silent.port],
    server: 'max_connections_per_client = 6',
    upstreams: 'max_connections = 1\nmax_waiting = 0',
    tables: certificate.toml,
  })
  const session = await h2Session(narrow.port, certificate.cert)
  session.request({ ':path': '/silent' }).on('error', () => {})
  await until(() => silent.requests.length === 1)
  const bodies: string[] = []
  for (let count = 0; count < 8; count += 1) {
    const upload = { ':path': '/', ':method': 'POST' }
    bodies.push((await h2Ask(session, upload, 'x'.repeat(400_000))).body)
  }
  session.destroy()
  for (const body of bodies) expect(body).toContain('connections to the server behind this proxy')
})
