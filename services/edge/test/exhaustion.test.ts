import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { echo, RecordingBackend } from '@ipfleet/testing/recording-backend.ts'
import { until } from '@ipfleet/testing/until.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { ask } from './ask.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'
import { testCertificate } from './test-certificate.ts'

/** Clients that take what there is and give nothing back: each costs little, for a while, and others are served. */
let backend: RecordingBackend
let edge: RunningEdge
/** Takes no machine that stands still for some seconds for a slow client. */
let patient: RunningEdge
beforeAll(async () => {
  backend = await RecordingBackend.start(answer)
  const edgeWith = (timeoutSeconds: number): Promise<RunningEdge> =>
    startEdge({
      backends: [backend.port],
      server: `
      header_timeout_seconds = ${timeoutSeconds}
      body_timeout_seconds = ${timeoutSeconds}
      body_buffer_bytes = 100
      send_timeout_seconds = ${timeoutSeconds}
      keep_alive_seconds = 60
      max_connections_per_client = 0`,
    })
  ;[edge, patient] = await Promise.all([edgeWith(2), edgeWith(8)])
})
afterAll(async () => {
  await Promise.all([edge.stop(), patient.stop()])
  await backend[Symbol.asyncDispose]()
})

const wires: Wire[] = []
afterEach(() => {
  for (const wire of wires.splice(0)) wire.destroy()
})

const largeBytes = 100_000_000

/** An answer that leaves in one write. */
const mediumBytes = 15_000

/** To `/large` with zeros, as fast as they are taken; to everything else with what was asked. */
function answer(request: Parameters<typeof echo>[0], socket: Socket): void {
  if (request.target === '/large') pour(socket, largeBytes)
  else if (request.target === '/medium')
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${mediumBytes}\r\n\r\n${'x'.repeat(mediumBytes)}`)
  else echo(request, socket)
}

function pour(socket: Socket, bytes: number): void {
  socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`)
  const block = Buffer.alloc(100_000)
  let left = bytes
  const goOn = (): void => {
    while (left > 0 && !socket.destroyed) {
      left -= block.length
      if (!socket.write(block)) {
        socket.once('drain', goOn)
        return
      }
    }
  }
  goOn()
}

function residentBytes({ pid }: RunningEdge): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

async function openConnections({ port }: RunningEdge): Promise<number> {
  return Number(/^ipfleet_edge_open_connections (\d+)$/m.exec((await ask(port, '/metrics')).body)?.[1])
}

async function openWires(count: number, bytes: string, { port } = edge): Promise<Wire[]> {
  const opened = await Promise.all(Array.from({ length: count }, () => Wire.to(port)))
  wires.push(...opened)
  for (const wire of opened) wire.write(bytes)
  return opened
}

/** While `pending` lasts, somebody else asks again and again. Gives how long the slowest answer took. */
async function slowestMeanwhile(pending: Promise<unknown>, { port } = edge): Promise<number> {
  const over = pending.then(
    () => true,
    () => true,
  )
  let slowestMs = 0
  do {
    const startedMs = performance.now()
    expect((await ask(port, '/other')).status).toBe(200)
    slowestMs = Math.max(slowestMs, performance.now() - startedMs)
  } while (!(await Promise.race([over, sleep(20, false)])))
  await pending
  return slowestMs
}

/** For a machine that does other things at the same time. */
const promptMs = 10_000

describe('clients that are slow on purpose', () => {
  const crowd = 100

  test.each([
    ['a head line by line', 'GET /slow HTTP/1.1\r\nHost: a\r\n', 'X-A: b\r\n'],
    ['a head byte by byte', 'GET /sl', 'o'],
    ['a body byte by byte', 'POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n', 'x'],
    ['a body in tiny chunks', 'POST /slow HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', '1\r\nx\r\n'],
  ])('that send %s are told 408 in time, while others are served', async (_what, beginning, drop) => {
    const slow = await openWires(crowd, beginning)
    const dripping = setInterval(() => slow.forEach((wire) => wire.socket.writable && wire.write(drop)), 100)
    try {
      expect(await slowestMeanwhile(Promise.all(slow.map(({ ended }) => ended)))).toBeLessThan(promptMs)
      for (const { text } of slow) {
        expect(text).toMatch(/^HTTP\/1\.1 408 [^]*content-type: application\/json[^]*"status": 408/i)
        expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1)
      }
    } finally {
      clearInterval(dripping)
    }
    expect(backend.requests.filter(({ target }) => target === '/slow')).toEqual([])
    // What was held for them is free again.
    await until(() => backend.openConnections <= 2)
  })

  test('that leave their uploads half done are told 408, and what the backend held for them is let go', async () => {
    const half = `POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n${'x'.repeat(400)}`
    const slow = await openWires(crowd, half)
    await until(() => backend.openConnections >= crowd)
    expect(await slowestMeanwhile(Promise.all(slow.map(({ ended }) => ended)))).toBeLessThan(promptMs)
    for (const { text } of slow) expect(text).toMatch(/^HTTP\/1\.1 408 /)
    await until(() => backend.openConnections <= 2)
  })

  test('that say nothing at all are not kept', async () => {
    const silent = await openWires(crowd, '')
    expect(await slowestMeanwhile(Promise.all(silent.map(({ ended }) => ended)))).toBeLessThan(promptMs)
  })

  test('that say nothing where TLS is spoken are not kept', async () => {
    await using certificate = await testCertificate()
    const server = 'header_timeout_seconds = 1'
    await using secure = await startEdge({ backends: [backend.port], server, tables: certificate.toml })
    const silent = await openWires(crowd, '', secure)
    await Promise.all(silent.map(({ ended }) => ended))
  })

  test('that send a body quickly enough are not taken for slow', async () => {
    const [steady] = (await openWires(1, 'POST /steady HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n')) as [Wire]
    for (let part = 0; part < 15; part += 1) {
      steady.write('x'.repeat(2000))
      await sleep(150)
    }
    expect(await steady.saw('\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /)
  })
})

describe('clients that do not read', () => {
  test('a hundred megabytes: little of it is held, others are served, and after send_timeout it is over', async () => {
    await ask(edge.port, '/other')
    const before = residentBytes(edge)
    const slow = await openWires(10, 'GET /large HTTP/1.1\r\nHost: a\r\n\r\n')
    for (const { socket } of slow) socket.pause()
    await until(() => backend.openConnections >= 10)
    let mostBytes = before
    const over = until(() => {
      mostBytes = Math.max(mostBytes, residentBytes(edge))
      return backend.openConnections <= 2
    }, 15_000)
    expect(await slowestMeanwhile(over)).toBeLessThan(promptMs)
    expect(mostBytes - before).toBeLessThan(80_000_000)
    for (const wire of slow) {
      wire.socket.resume()
      await wire.ended
      expect(wire.text.length).toBeLessThan(largeBytes)
    }
  })

  test('thousands of answers that are small: they are not kept after send_timeout either', async () => {
    const count = 2000
    const [wire] = await openWires(1, `POST /medium HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`.repeat(count))
    wire?.socket.pause()
    await until(() => backend.requests.some(({ target }) => target === '/medium'))
    // The one that asks this.
    await until(async () => {
      // A page of metrics is work, which the edge needs its time for.
      await sleep(500)
      return (await openConnections(edge)) === 1
    })
    wire?.socket.resume()
    await wire?.ended
    expect(wire?.text.length).toBeLessThan(count * mediumBytes)
  })

  test('who reads slowly, but does read, gets all of it', async () => {
    const wire = await Wire.to(patient.port)
    wires.push(wire)
    wire.write('GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    // Longer in all than what a client may leave unread.
    for (let pause = 0; pause < 32; pause += 1) {
      wire.socket.pause()
      await sleep(280)
      wire.socket.resume()
      await sleep(20)
    }
    await wire.ended
    expect(wire.text.length).toBeGreaterThan(largeBytes)
  })
})

describe('clients that stay', () => {
  test('five thousand idle connections cost little, and others are served at once', async () => {
    const count = 5000
    await ask(patient.port)
    const before = residentBytes(patient)
    const entry = fileURLToPath(new URL('idle-clients.ts', import.meta.url))
    const clients = spawn(process.execPath, [entry, String(patient.port), String(count)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const lines = createInterface({ input: clients.stdout })[Symbol.asyncIterator]()
    try {
      const connected = lines.next()
      await slowestMeanwhile(connected, patient)
      expect((await connected).value).toBe(`answered ${count}`)
      expect(await slowestMeanwhile(sleep(500), patient)).toBeLessThan(promptMs)
      const grownBytes = residentBytes(patient) - before
      expect(grownBytes).toBeLessThan(150_000_000)
      // None was closed in the meantime.
      clients.stdin.end()
      expect((await lines.next()).value).toBe(`open ${count}`)
    } finally {
      clients.kill('SIGKILL')
    }
  })
})

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`

async function answered(wire: Wire, path: string): Promise<void> {
  wire.write(get(path))
  await wire.saw(`"target":"${path}"`)
}

describe('more connections than allowed', () => {
  test('of one client: those over it are closed, the others and other clients go on', async () => {
    const server = 'max_connections_per_client = 5'
    await using narrow = await startEdge({
      backends: [backend.port],
      server,
      tables: '[metrics]\nallow = ["127.0.0.2"]',
    })
    const first = await openWires(5, '', narrow)
    await Promise.all(first.map((wire) => answered(wire, '/first')))
    const over = await openWires(20, get('/over'), narrow)
    await Promise.all(over.map(({ ended }) => ended))
    expect(over.map(({ text }) => text).join('')).toBe('')
    await Promise.all(first.map((wire) => answered(wire, '/again')))
    expect((await ask(narrow.port, '/neighbour', { from: '127.0.0.2' })).status).toBe(200)
    // A place that is free again may be taken again.
    first[0]?.destroy()
    await until(async () => (await ask(narrow.port, '/free').catch(() => undefined))?.status === 200)
    const { body } = await ask(narrow.port, '/metrics', { from: '127.0.0.2' })
    expect(body).toMatch(/refused\S* (?:2\d|[3-9]\d|\d{3,})$/m)
  })

  test('of a trusted proxy are not counted as one client’s', async () => {
    const server = 'max_connections_per_client = 5'
    await using behind = await startEdge({ backends: [backend.port], server, env: { TRUST_PROXY: '127.0.0.1' } })
    const many = await openWires(20, '', behind)
    await Promise.all(many.map((wire) => answered(wire, '/many')))
  })

  test('in all: those over it are closed, those that are there go on', async () => {
    await using narrow = await startEdge({ backends: [backend.port], server: 'max_connections = 10' })
    const first = await openWires(10, '', narrow)
    await Promise.all(first.map((wire) => answered(wire, '/first')))
    const over = await openWires(20, get('/over'), narrow)
    await Promise.all(over.map(({ ended }) => ended))
    expect(over.map(({ text }) => text).join('')).toBe('')
    await Promise.all(first.map((wire) => answered(wire, '/again')))
  })
})
