import type { Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { echo, RecordingBackend, type SeenRequest } from '@ipfleet/testing/recording-backend.ts'
import { until } from '@ipfleet/testing/until.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { ask } from './ask.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'

/** What one client can hold before it has proven anything: with default settings it shuts nobody out. */
let backend: RecordingBackend
let edge: RunningEdge
beforeAll(async () => {
  backend = await RecordingBackend.start(answer)
  edge = await startEdge({ backends: [backend.port], tables: '[metrics]\nallow = ["127.0.0.2"]' })
})
afterAll(async () => {
  await edge.stop()
  await backend[Symbol.asyncDispose]()
})

const wires: Wire[] = []
afterEach(async () => {
  hangUp()
  await until(async () => (await gauge('ipfleet_edge_held_bytes')) < 10_000)
})

const largePart = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n${'x'.repeat(1_000_000)}`)

function answer(request: SeenRequest, socket: Socket): void {
  const { target } = request
  if (target.startsWith('/never')) return
  if (target.endsWith('/events')) socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n')
  else if (target === '/upgrade') socket.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
  else if (target === '/large') socket.write(largePart)
  else echo(request, socket)
}

async function metrics(): Promise<string> {
  return (await ask(edge.port, '/metrics', { from: '127.0.0.2' })).body
}

async function gauge(name: string): Promise<number> {
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(await metrics())?.[1])
}

async function crowd(count: number, bytes: string, { port } = edge): Promise<Wire[]> {
  const opened = await Promise.all(Array.from({ length: count }, () => Wire.to(port)))
  wires.push(...opened)
  for (const wire of opened) wire.write(bytes)
  return opened
}

function hangUp(): void {
  for (const wire of wires.splice(0)) wire.destroy()
}

async function expectOthersServed({ port } = edge): Promise<void> {
  const paths = ['/other', '/jobs/1', '/jobs/1/events', '/other']
  for (const path of paths.filter((one) => !one.endsWith('/events'))) {
    const { status } = await ask(port, path, { from: '127.0.0.2' })
    expect([path, status]).toEqual([path, 200])
  }
}

const post = (...lines: string[]): string => ['POST /upload HTTP/1.1', 'Host: a', ...lines].join('\r\n')

describe('300 requests of one address', () => {
  test.each([
    ['with a length', post('Content-Length: 1000', '', 'x')],
    ['in chunks', post('Transfer-Encoding: chunked', '', '1\r\nx\r\n')],
    ['of nothing at all', post('Content-Length: 5', '', '')],
  ])('whose bodies do not come, %s, hold no connection that others need', async (_what, bytes) => {
    const slow = await crowd(300, bytes)
    await until(async () => (await gauge('ipfleet_edge_held_bytes')) > 300_000)
    await expectOthersServed()
    await until(async () => (await gauge('ipfleet_edge_long_answers')) === 300)
    await expectOthersServed()
    expect(slow.map(({ text }) => text).join('')).toBe('')
  })

  test.each([
    ['larger than what is collected', post('Content-Length: 1000000', '', 'x'.repeat(100_000))],
    ['announced with Expect', post('Expect: 100-continue', 'Content-Length: 1000', '', '')],
    ['never answered', 'GET /never HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['whose answers are not read', 'GET /large HTTP/1.1\r\nHost: a\r\n\r\n'],
  ])('%s hold half of the connections; those over it are told which limit', async (_what, bytes) => {
    const slow = await crowd(300, bytes)
    for (const { socket } of slow) socket.once('data', () => socket.pause())
    await expectOthersServed()
    // Those that waited for a connection were told after a second.
    await until(() => slow.filter(({ text }) => text.startsWith('HTTP/1.1 429')).length >= 130)
    await expectOthersServed()
    const told = slow.find(({ text }) => text.startsWith('HTTP/1.1 429'))?.text
    expect(told).toMatch(/retry-after: 1\r\n/i)
    expect(told).toContain('one client may have (limit: max_connections and max_waiting of the group)')
    expect(await metrics()).toMatch(/refused_requests_total\{limit="backend_connections",of="client"\} [1-9]/)
  })

  test.each([
    ['follow events', 'GET /jobs/1/events HTTP/1.1\r\nHost: a\r\n\r\n', 'data: 1'],
    ['switch protocols', 'GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n', ' 101 '],
  ])('that %s all have places, which are none of the others', async (_what, bytes, sign) => {
    const following = await crowd(300, bytes)
    await Promise.all(following.map((wire) => wire.saw(sign)))
    expect(await gauge('ipfleet_edge_long_answers')).toBe(300)
    await expectOthersServed()
    hangUp()
    await until(async () => (await gauge('ipfleet_edge_long_answers')) === 0)
  })
})

test('long answers have a ceiling, of all and of one client, which is told to those over it and to the log', async () => {
  await using narrow = await startEdge({ backends: [backend.port], server: 'max_long_answers = 10' })
  const events = 'GET /jobs/1/events HTTP/1.1\r\nHost: a\r\n\r\n'
  const upgrade = 'GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'
  await Promise.all((await crowd(3, events, narrow)).map((wire) => wire.saw('data: 1')))
  await Promise.all((await crowd(2, upgrade, narrow)).map((wire) => wire.saw(' 101 ')))
  for (const bytes of [events, upgrade]) {
    const [over] = await crowd(1, bytes, narrow)
    expect(await over?.saw('max_long_answers')).toMatch(/^HTTP\/1\.1 429 /)
  }
  // Another client still has one; each has half of what is left.
  const { status, body } = await ask(narrow.port, '/other', { from: '127.0.0.2' })
  expect([status, body]).toEqual([200, expect.stringContaining('/other')])
  await until(() => /"setting":"max_long_answers".*a limit is reached/.test(narrow.output()))
  hangUp() // the edge's end would wait for the long answers
})
