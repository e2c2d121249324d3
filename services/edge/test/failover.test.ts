import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from '@jest/globals'
import { namesEnvironment } from '@ipfleet/testing/names-environment.ts'
import { type Answerer, RecordingBackend } from '@ipfleet/testing/recording-backend.ts'
import { ScriptedBackend } from '@ipfleet/testing/scripted-backend.ts'
import { temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { isPortFree, likelyFreePort } from '@ipfleet/testing/service-process-port.ts'
import { type LogLine, type ServiceProcess, startReplica } from '@ipfleet/testing/service-process.ts'
import { until } from '@ipfleet/testing/until.ts'
import { ask, type Reply } from './ask.ts'
import { KeepAliveLoad } from './keep-alive-load.ts'
import { startEchoBackend } from './start-echo-backend.ts'
import { type EdgeFile, type RunningEdge, startEdge, startEdgeFrom } from './start-edge.ts'
import { metricIn } from './worker-fleet.ts'

/** Backends die, hang, restart and vanish, and clients do not notice, or are told the truth. */

const opened: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close()
})

async function edgeInFrontOf(backends: readonly number[], file: Omit<EdgeFile, 'backends'> = {}): Promise<RunningEdge> {
  const edge = await startEdge({ tables: '', ...file, backends })
  opened.push(() => edge.stop())
  return edge
}

async function echoBackend(port?: number): Promise<ServiceProcess> {
  const backend = await startEchoBackend(port)
  opened.push(() => backend.stop())
  return backend
}

async function recordingBackend(answer?: Answerer): Promise<RecordingBackend> {
  const backend = await RecordingBackend.start(answer)
  opened.push(async () => backend[Symbol.asyncDispose]())
  return backend
}

function loadOn({ port }: RunningEdge, options?: ConstructorParameters<typeof KeepAliveLoad>[1]): KeepAliveLoad {
  const load = new KeepAliveLoad(port, options)
  opened.push(() => load.stop())
  return load
}

/** On which its server can be started again: no outgoing connection is given it meanwhile. */
async function portToKeep(): Promise<number> {
  const port = likelyFreePort()
  return (await isPortFree(port)) ? port : portToKeep()
}

const idOf = ({ port }: { readonly port: number }): string => `127.0.0.1:${port}`

/** Long enough by default that a backend which answers is not taken for silent on a busy machine. */
const quickHealth = (path: string, timeoutMs = 20_000): string =>
  `[health]\npath = "${path}"\ninterval_seconds = 0.2\ntimeout_ms = ${timeoutMs}\n[ejection]\nslow_start_seconds = 0`

const replicaOn = (port: number): Promise<ServiceProcess> => startReplica({ DRAIN_MS: '800', PORT: String(port) })

describe('under load of 50 clients that keep their connections', () => {
  test('a backend that is killed costs nobody a request, and takes part again when it is back', async () => {
    const [stays, dies] = [await echoBackend(), await echoBackend(await portToKeep())]
    const edge = await edgeInFrontOf([stays.port, dies.port], {
      tables: '[ejection]\nseconds = 0.5\nslow_start_seconds = 1',
    })
    const load = loadOn(edge)
    await load.moreFrom(idOf(dies), 500)
    dies.kill('SIGKILL')
    await dies.exited
    await edge.waitForLine(({ msg, backend }) => msg === 'backend ejected: too many failures' && backend === idOf(dies))
    await load.more(500)
    await echoBackend(dies.port)
    await load.moreFrom(idOf(dies), 500)
    await load.stop()
    expect(load.faults).toEqual([])
    const { body } = await ask(edge.port, '/metrics')
    expect(metricIn(body, `ipfleet_edge_backend_requests_total{backend="${idOf(dies)}",end="failed"}`)).toBeGreaterThan(
      0,
    )
    expect(metricIn(body, 'ipfleet_edge_ejections_total{group="default"}')).toBeGreaterThan(0)
  })

  test('nor does the other, killed while the one that is back is still left alone', async () => {
    const [first, second] = [await echoBackend(await portToKeep()), await echoBackend()]
    const edge = await edgeInFrontOf([first.port, second.port], {
      server: 'workers = 2',
      tables: '[ejection]\nseconds = 600\nslow_start_seconds = 0',
    })
    const load = loadOn(edge)
    await load.moreFrom(idOf(first), 300)
    first.kill('SIGKILL')
    await first.exited
    await load.more(500)
    await echoBackend(first.port)
    second.kill('SIGKILL')
    await second.exited
    await load.moreFrom(idOf(first), 500)
    await load.stop()
    expect(load.faults).toEqual([])
  })

  test('one that hangs is taken out by its checks; only what it had in hand is lost, and takes no longer than it may', async () => {
    const [stays, hangs] = [await echoBackend(), await echoBackend()]
    const edge = await edgeInFrontOf([stays.port, hangs.port], {
      upstreams: 'answer_timeout_seconds = 3',
      // Long enough that the backend which runs is not taken for silent on a busy machine.
      tables: quickHealth('/', 1000),
    })
    const load = loadOn(edge)
    await load.moreFrom(idOf(hangs), 200)
    hangs.kill('SIGSTOP')
    await edge.waitForLine(({ msg, backend }) => msg === 'backend is unhealthy' && backend === idOf(hangs))
    // Every client may have had one request there.
    await until(async () => (await inFlightAt(edge, hangs)) === 0)
    expect(load.faults.filter((fault) => !fault.startsWith('504 '))).toEqual([])
    expect(load.faults.length).toBeLessThanOrEqual(50)
    const lost = load.faults.length
    await load.more(1000)
    hangs.kill('SIGCONT')
    await load.moreFrom(idOf(hangs), 200)
    await load.stop()
    expect(load.faults).toHaveLength(lost)
    const { body } = await ask(edge.port, '/metrics')
    const slow = (le: string) =>
      metricIn(body, `http_requests_duration_seconds_bucket{method="GET",status="504",le="${le}"}`)
    expect(slow('10')).toBe(slow('+Inf'))
  })

  test('three replicas are restarted one after the other, and no request fails', async () => {
    const ports = [await portToKeep(), await portToKeep(), await portToKeep()]
    const replicas = await Promise.all(ports.map(replicaOn))
    opened.push(() => Promise.all(replicas.map((replica) => replica.stop())))
    // The replicas say that they are not ready, or refuse: their checks need not be in a hurry.
    const edge = await edgeInFrontOf(ports, { tables: quickHealth('/readyz') })
    const load = loadOn(edge, { path: '/8.8.8.8' })
    await load.more(500)
    for (const [index, replica] of replicas.entries()) {
      replica.kill('SIGTERM')
      expect(await replica.exited).toEqual({ code: 0, signal: null })
      await load.more(200)
      replicas[index] = await replicaOn(replica.port)
      await load.moreFrom(idOf(replica), 50)
    }
    await load.stop()
    expect(load.faults).toEqual([])
    const verdicts = () =>
      edge.lines().filter(({ msg }) => msg === 'backend is unhealthy' || msg === 'backend is healthy')
    await until(() => verdicts().length >= 2 * ports.length)
    expect(verdicts().map(({ msg, backend }) => `${String(backend)} ${String(msg)}`)).toEqual(
      ports.flatMap((port) => [`127.0.0.1:${port} backend is unhealthy`, `127.0.0.1:${port} backend is healthy`]),
    )
    expect(edge.lines().some(({ reason }) => reason === 'answered 503')).toBe(true)
  })
})

async function inFlightAt(edge: RunningEdge, backend: { readonly port: number }): Promise<number | undefined> {
  const { body } = await ask(edge.port, '/metrics')
  return metricIn(body, `ipfleet_edge_backend_connections{group="default",backend="${idOf(backend)}",state="busy"}`)
}

test('one that is left alone for its failures is asked when the other dies, and serves from then on', async () => {
  const [returns, dies] = [await portToKeep(), await echoBackend()]
  const edge = await edgeInFrontOf([returns, dies.port], { tables: '[ejection]\nseconds = 600' })
  const ejected = ({ msg, backend }: LogLine): boolean =>
    msg === 'backend ejected: too many failures' && backend === idOf({ port: returns })
  for (let turn = 0; turn < 8; turn += 1) expect((await ask(edge.port)).status).toBe(200)
  await edge.waitForLine(ejected)
  await echoBackend(returns)
  dies.kill('SIGKILL')
  await dies.exited
  for (const method of ['GET', 'POST', 'GET', 'POST', 'GET', 'GET']) {
    const { status, headers } = await ask(edge.port, '/', { method })
    expect([status, headers['x-backend']]).toEqual([200, idOf({ port: returns })])
  }
  await edge.waitForLine(({ msg, backend }) => msg === 'backend is back' && backend === idOf({ port: returns }))
})

describe('a backend that is alone', () => {
  test('may be restarted: while it is away clients are told so, and then it serves at once', async () => {
    const backend = await echoBackend(await portToKeep())
    const edge = await edgeInFrontOf([backend.port])
    for (let turn = 0; turn < 5; turn += 1) expect((await ask(edge.port)).status).toBe(200)
    backend.kill('SIGKILL')
    await backend.exited
    for (let turn = 0; turn < 5; turn += 1) {
      const { status, headers, body } = await ask(edge.port)
      expect([status, headers['content-type']]).toEqual([502, 'application/json; charset=utf-8'])
      expect(JSON.parse(body)).toMatchObject({ status: 502, error: { title: 'Backend unreachable' } })
    }
    await echoBackend(backend.port)
    // Neither is it left alone for its failures, nor is a connection used that it had before.
    for (const method of ['POST', 'GET', 'POST']) expect((await ask(edge.port, '/', { method })).status).toBe(200)
  })

  test('gets a GET again, by a new connection, when a kept one dies under it', async () => {
    const backend = await ScriptedBackend.start()
    opened.push(async () => backend[Symbol.asyncDispose]())
    const edge = await edgeInFrontOf([backend.port])
    const first = ask(edge.port, '/first')
    const kept = await backend.accept()
    await kept.saw('/first')
    kept.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    expect((await first).status).toBe(200)
    const second = ask(edge.port, '/second')
    await kept.saw('/second')
    kept.reset()
    const fresh = await backend.accept()
    await fresh.saw('GET /second')
    fresh.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain')
    expect(await second).toMatchObject({ status: 200, body: 'again' })
  })
})

const post = ({ port }: RunningEdge, body = 'once'): Promise<Reply> => ask(port, '/', { method: 'POST', body })

describe('a POST', () => {
  test('that a backend may have seen is not sent again: 502, and it arrived once', async () => {
    const arrived: string[] = []
    const drop: Answerer = ({ method, body }, socket) => {
      arrived.push(`${method} ${body}`)
      socket.destroy()
    }
    const backends = [await recordingBackend(drop), await recordingBackend(drop)]
    const edge = await edgeInFrontOf(
      backends.map(({ port }) => port),
      { tables: '[retry]\nattempts = 3' },
    )
    const { status, body } = await post(edge)
    expect([status, JSON.parse(body)]).toEqual([502, expect.objectContaining({ status: 502 })])
    expect(arrived).toEqual(['POST once'])
    // Likewise without a body, and whatever else changes something. What changes nothing is tried again.
    expect((await post(edge, '')).status).toBe(502)
    expect((await ask(edge.port, '/', { method: 'DELETE' })).status).toBe(502)
    expect(arrived).toEqual(['POST once', 'POST ', 'DELETE '])
    expect((await ask(edge.port)).status).toBe(502)
    expect(arrived.length).toBeGreaterThan(4)
  })

  test('nor when the backend dies in the middle of the body', async () => {
    let connections = 0
    const server = createTcpServer((socket) => {
      connections += 1
      socket.on('error', () => {})
      socket.on('data', (bytes) => void (bytes.includes('xxxx') && socket.resetAndDestroy()))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    opened.push(async () => void server.close())
    const edge = await edgeInFrontOf([(server.address() as AddressInfo).port], { tables: '[retry]\nattempts = 3' })
    expect((await post(edge, 'x'.repeat(1_000_000))).status).toBe(502)
    expect(connections).toBe(1)
  })

  test('that was refused a connection goes to another backend, with all of its body', async () => {
    const lives = await recordingBackend()
    const edge = await edgeInFrontOf([await portToKeep(), lives.port], { tables: '[ejection]\nfailures = 0' })
    const bodies = Array.from({ length: 8 }, (_, index) => `${index}`.repeat(100_000))
    const replies = await Promise.all(bodies.map((body) => post(edge, body)))
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]))
    expect(lives.requests.map(({ body }) => body).toSorted()).toEqual(bodies)
    const { body } = await ask(edge.port, '/metrics')
    expect(metricIn(body, 'ipfleet_edge_retries_total{fault="unreachable"}')).toBe(4)
  })
})

describe('when all backends fail', () => {
  test('the retry budget bounds what they get on top', async () => {
    const backends = [
      await recordingBackend((_, socket) => socket.destroy()),
      await recordingBackend((_, socket) => socket.destroy()),
    ]
    const edge = await edgeInFrontOf(
      backends.map(({ port }) => port),
      {
        // Without hedges, which an edge that stood still would send: they count by themselves.
        tables:
          '[retry]\nattempts = 3\nbudget_percent = 10\nmin_per_second = 0\nhedge_after_ms = 0\n[ejection]\nfailures = 0',
      },
    )
    const count = 300
    const replies: Reply[] = []
    for (let wave = 0; wave < 10; wave += 1) {
      replies.push(...(await Promise.all(Array.from({ length: count / 10 }, () => ask(edge.port)))))
    }
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([502]))
    const arrived = backends.reduce((sum, { requests }) => sum + requests.length, 0)
    expect(arrived).toBeGreaterThan(count)
    expect(arrived).toBeLessThanOrEqual(count * 1.1)
    const { body } = await ask(edge.port, '/metrics')
    expect(metricIn(body, 'ipfleet_edge_retries_total{fault="lost"}')).toBe(arrived - count)
  })

  test('their checks say so: 503 as JSON with Retry-After, a probe that fails, and all is well again with them', async () => {
    let healthy = true
    const listener: RequestListener = (_req, res) => res.writeHead(healthy ? 200 : 500).end()
    const ports = [await served(listener), await served(listener)]
    const edge = await edgeInFrontOf(ports, { tables: quickHealth('/health') })
    expect((await ask(edge.port, '/edge/readyz')).status).toBe(200)
    healthy = false
    const reply = await until(async () => {
      const tried = await ask(edge.port, '/', { method: 'POST', body: 'text' })
      return tried.status === 503 ? tried : undefined
    })
    expect(reply.headers['retry-after']).toBe('1')
    expect(reply.headers['content-type']).toBe('application/json; charset=utf-8')
    expect(JSON.parse(reply.body)).toMatchObject({ status: 503, error: { title: 'No backend available' } })
    expect((await ask(edge.port, '/edge/readyz')).status).toBe(503)
    healthy = true
    await until(async () => (await ask(edge.port)).status === 200)
    expect((await ask(edge.port, '/edge/readyz')).status).toBe(200)
  })
})

/** A server of this process; gives its port. */
async function served(listener: RequestListener, { host = '127.0.0.1', port = 0 } = {}): Promise<number> {
  const server = createServer(listener).listen(port, host)
  await once(server, 'listening')
  opened.push(async () => {
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  })
  return (server.address() as AddressInfo).port
}

const sayWhere: RequestListener = (req, res) => res.end(req.socket.localAddress)

test('the addresses of a name are as many backends, and followed as they change', async () => {
  const [first, second] = ['127.0.0.2', '127.0.0.3'] as const
  const port = await served(sayWhere, { host: first })
  await served(sayWhere, { host: second, port })
  const folder = await temporaryFolder('names')
  opened.push(() => folder.remove())
  const names = join(folder.path, 'names.json')
  const resolveTo = (...addresses: string[]): Promise<void> =>
    writeFile(names, JSON.stringify({ 'fleet.test': addresses }))
  await resolveTo(first)
  const toml = `[server]\nlisten = "127.0.0.1:0"\n[upstreams]\nbackends = ["http://fleet.test:${port}"]\nresolve_seconds = 0.2`
  const edge = await startEdgeFrom(toml, namesEnvironment(names))
  opened.push(() => edge.stop())
  const answerers = async (): Promise<string> => {
    const replies = [await ask(edge.port), await ask(edge.port)]
    expect(replies.map(({ headers, body }) => headers['x-backend'] === `${body}:${port}`)).toEqual([true, true])
    return replies
      .map(({ body }) => body)
      .toSorted()
      .join()
  }
  expect(await answerers()).toBe([first, first].join())
  await resolveTo(first, second)
  await until(async () => (await answerers()) === [first, second].join())
  await resolveTo(second)
  await until(async () => (await answerers()) === [second, second].join())
  // A name that cannot be looked up any more keeps the addresses it had.
  await resolveTo()
  await edge.waitForLine(({ backend, code }) => backend === 'fleet.test' && code === 'ENOTFOUND')
  expect(await answerers()).toBe([second, second].join())
})

test('a connection is not used for longer than it may, however busy it is', async () => {
  const backend = await recordingBackend()
  const edge = await edgeInFrontOf([backend.port], { upstreams: 'max_connection_life_seconds = 0.2' })
  await until(async () => {
    expect((await ask(edge.port)).status).toBe(200)
    return backend.requests.some(({ connection }) => connection === 2)
  })
})
