import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from '@jest/globals'
import { sameSignalMs } from '@ipfleet/core/stop-signals.ts'
import { until } from '@ipfleet/testing/until.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { ask } from './ask.ts'
import { KeepAliveLoad } from './keep-alive-load.ts'
import { startEchoBackend } from './start-echo-backend.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'
import { testCertificate } from './test-certificate.ts'
import { isAlive, metricIn } from './worker-fleet.ts'

/** The edge stops, or loses a worker, and whoever asks does not notice more than must be. */

const opened: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close()
})

interface Options {
  readonly workers: number
  readonly drainMs?: number
}

async function edgeInFrontOf(port: number, { workers, drainMs = 0 }: Options): Promise<RunningEdge> {
  const edge = await startEdge({
    backends: [port],
    server: `workers = ${workers}`,
    env: { DRAIN_MS: String(drainMs) },
  })
  opened.push(() => edge.stop())
  return edge
}

async function echoPort(): Promise<number> {
  const backend = await startEchoBackend()
  opened.push(() => backend.stop())
  return backend.port
}

/** A backend whose answers wait until the test gives them. */
async function holdingBackend() {
  const held: ServerResponse[] = []
  const server = createServer((_req, res) => void held.push(res)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  opened.push(async () => {
    server.close()
    server.closeAllConnections()
  })
  return { port: (server.address() as AddressInfo).port, held }
}

/** The processes that a process has started. Linux only. */
async function childrenOf(pid: number): Promise<number[]> {
  const list = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return list.trim().split(' ').filter(Boolean).map(Number)
}

const closing = { headers: { connection: 'close' } } as const

describe.each([1, 3])('with workers = %d', (workers) => {
  test('SIGTERM under load: the probe fails first, no request of 50 clients does, and the end is code 0', async () => {
    const edge = await edgeInFrontOf(await echoPort(), { workers, drainMs: 60_000 })
    expect((await ask(edge.port, '/edge/readyz')).status).toBe(200)
    // An edge without clients does not wait for any.
    const stays = await Wire.to(edge.port)
    const load = new KeepAliveLoad(edge.port, { leavesWhenTold: true })
    await load.more(500)
    edge.kill('SIGTERM')
    await until(async () => (await ask(edge.port, '/edge/readyz', closing)).status === 503)
    // It still serves whoever has not noticed yet.
    expect((await ask(edge.port, '/', closing)).status).toBe(200)
    await load.left()
    stays.destroy()
    expect(await edge.exited).toEqual({ code: 0, signal: null })
    expect(load.faults).toEqual([])
    const said = edge.lines().map(({ msg }) => msg)
    expect(said).toEqual(expect.arrayContaining(['stopping', 'stopped']))
  })

  test('what is under way is answered before the end: heads that have not come, and bodies that have begun', async () => {
    const { port, held } = await holdingBackend()
    const edge = await edgeInFrontOf(port, { workers })
    const answers = Array.from({ length: 12 }, () => ask(edge.port))
    await until(() => held.length === 12)
    const [begun, ...silent] = held as [ServerResponse, ...ServerResponse[]]
    begun.writeHead(200, { 'content-length': 10 }).write('first')
    const idle = await Promise.all(Array.from({ length: 5 }, () => Wire.to(edge.port)))
    edge.kill('SIGTERM')
    await edge.waitForLine(({ msg }) => msg === 'stopping')
    await Promise.all(idle.map(({ ended }) => ended))
    for (const res of silent) res.end('firstlater')
    begun.end('later')
    const replies = await Promise.all(answers)
    expect(replies.map(({ status, body }) => `${status} ${body}`)).toEqual(Array(12).fill('200 firstlater'))
    expect(await edge.exited).toEqual({ code: 0, signal: null })
  })

  test('a second signal ends it at once, and all its processes', async () => {
    const { port, held } = await holdingBackend()
    const edge = await edgeInFrontOf(port, { workers, drainMs: 60_000 })
    const lost = ask(edge.port).then(
      () => 'answered',
      () => 'lost',
    )
    await until(() => held.length === 1)
    const pids = [edge.pid, ...(await childrenOf(edge.pid))]
    expect(pids).toHaveLength(workers === 1 ? 1 : 1 + workers)
    edge.kill('SIGTERM')
    await edge.waitForLine(({ msg }) => msg === 'stopping')
    // Sooner it would be the same Ctrl-C.
    await sleep(2 * sameSignalMs)
    const secondMs = performance.now()
    let hasEnded = false
    void edge.exited.then(() => (hasEnded = true))
    await until(() => {
      edge.kill('SIGTERM')
      return hasEnded
    })
    expect(await edge.exited).toEqual({ code: 143, signal: null })
    // It would drain for a minute.
    expect(performance.now() - secondMs).toBeLessThan(30_000)
    expect(await lost).toBe('lost')
    await until(() => !pids.some(isAlive))
  })
})

test('a worker that is killed is replaced; only what it had in hand is lost', async () => {
  const edge = await edgeInFrontOf(await echoPort(), { workers: 3 })
  const load = new KeepAliveLoad(edge.port)
  opened.push(() => load.stop())
  await load.more(500)
  const [victim = 0, ...others] = await childrenOf(edge.pid)
  process.kill(victim, 'SIGKILL')
  await edge.waitForLine(({ msg, pid }) => msg === 'a worker ended and is replaced' && pid === victim)
  await load.more(500)
  const pids = await until(async () => {
    const now = await childrenOf(edge.pid)
    return now.length === 3 ? now : undefined
  })
  expect(pids).toEqual(expect.arrayContaining(others))
  expect(pids).not.toContain(victim)
  await until(async () => metricIn((await ask(edge.port, '/metrics')).body, 'ipfleet_edge_workers') === 3)
  const lost = load.faults.length
  // With the worker goes a request of each client that was there, which may be all, and one that was being handed to it.
  expect(lost).toBeLessThanOrEqual(2 * 50)
  expect(load.answered).toBeGreaterThan(1000)
  expect(load.faults.filter((fault) => !/ECONNRESET|socket hang up/.test(fault))).toEqual([])
  await load.more(500)
  await load.stop()
  expect(load.faults).toHaveLength(lost)
})

test('SIGTERM waits for no client that does not finish its TLS handshake', async () => {
  const certificate = await testCertificate()
  opened.push(async () => certificate[Symbol.asyncDispose]())
  const edge = await startEdge({
    backends: [await echoPort()],
    // Longer than a stop may take (DRAIN_MS and 15 s), after which the edge ends with another code.
    server: 'header_timeout_seconds = 60\nproxy_protocol = ["127.0.0.2"]',
    tables: certificate.toml,
    env: { DRAIN_MS: '0' },
  })
  opened.push(() => edge.stop())
  const proxied = 'PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n'
  const unfinished: Wire[] = []
  for (const [bytes, localAddress] of [
    ['', '127.0.0.1'],
    ['\x16\x03\x01', '127.0.0.1'],
    ['', '127.0.0.2'],
    [proxied, '127.0.0.2'],
    [`${proxied}\x16\x03\x01`, '127.0.0.2'],
  ] as const) {
    const socket = connect({ port: edge.port, host: '127.0.0.1', localAddress })
    const wire = new Wire(socket)
    await once(socket, 'connect')
    wire.write(bytes)
    unfinished.push(wire)
  }
  const negotiated = await Promise.all(
    ['h2', 'http/1.1'].map((alpn) => Wire.to(edge.port, { ca: certificate.cert, ALPNProtocols: [alpn] })),
  )
  edge.kill('SIGTERM')
  expect(await edge.exited).toEqual({ code: 0, signal: null })
  for (const wire of [...unfinished, ...negotiated]) await wire.ended
})
