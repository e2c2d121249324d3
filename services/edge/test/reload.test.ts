import { afterEach, describe, expect, test } from '@jest/globals'
import { RecordingBackend } from '@ipfleet/testing/recording-backend.ts'
import { ScriptedBackend } from '@ipfleet/testing/scripted-backend.ts'
import type { ServiceProcess } from '@ipfleet/testing/service-process.ts'
import { until } from '@ipfleet/testing/until.ts'
import { ask, askInTurn, askUnhindered, type Reply } from './ask.ts'
import { H2Wire } from './h2-wire.ts'
import { KeepAliveLoad } from './keep-alive-load.ts'
import { startEchoBackend } from './start-echo-backend.ts'
import { type EdgeFile, edgeToml, type RunningEdge, startEdge } from './start-edge.ts'
import { testCertificate } from './test-certificate.ts'
import { metricIn } from './worker-fleet.ts'

/** SIGHUP reads the file again: a good one takes effect without dropping a request, a bad one changes nothing. */

const opened: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close()
})

async function edgeBy(file: EdgeFile): Promise<RunningEdge> {
  const edge = await startEdge(file)
  opened.push(() => edge.stop())
  return edge
}

async function recordingBackend(): Promise<RecordingBackend> {
  const backend = await RecordingBackend.start()
  opened.push(async () => backend[Symbol.asyncDispose]())
  return backend
}

async function echoBackends(count: number): Promise<ServiceProcess[]> {
  const backends = await Promise.all(Array.from({ length: count }, () => startEchoBackend()))
  opened.push(...backends.map((backend) => () => backend.stop()))
  return backends
}

const takenOver = 'configuration taken over'

/** Resolves when the process that was told has taken it over; others of it may follow. */
async function reload(edge: RunningEdge, file: EdgeFile): Promise<void> {
  const count = (): number => edge.lines().filter(({ msg }) => msg === takenOver).length
  const before = count()
  await edge.rewrite(edgeToml(file))
  edge.kill('SIGHUP')
  await until(() => count() > before)
}

const idOf = ({ port }: { readonly port: number }): string => `127.0.0.1:${port}`

describe.each([1, 3])('under load of 50 clients, with workers = %d', (workers) => {
  test('other backends, a limit and a route take effect, and no request fails', async () => {
    const [first, second, third] = (await echoBackends(3)) as [ServiceProcess, ServiceProcess, ServiceProcess]
    const server = `workers = ${workers}`
    const edge = await edgeBy({ backends: [first.port, second.port], server })
    const load = new KeepAliveLoad(edge.port)
    opened.push(() => load.stop())
    await load.moreFrom(idOf(first), 200)
    await load.moreFrom(idOf(second), 200)

    await reload(edge, { backends: [second.port, third.port], server })
    await load.moreFrom(idOf(third), 200)
    await until(async () => {
      const before = load.answeredBy.get(idOf(first))
      await load.more(300)
      return load.answeredBy.get(idOf(first)) === before
    })
    // Nobody needs it any more.
    await first.stop()
    await load.moreFrom(idOf(second), 200)

    const tables =
      `[groups.other]\nbackends = ["http://${idOf(second)}"]\n[[routes]]\nprefix = "/other"\nupstreams = "other"\n` +
      '[rate_limit]\nmax_requests = 5\nexempt = ["127.0.0.1"]'
    await reload(edge, { backends: [third.port], server, tables })
    await until(async () =>
      (await askInTurn(edge.port, 6)).every(({ headers }) => headers['x-backend'] === idOf(third)),
    )
    const others: Reply[] = []
    for (let turn = 0; turn < 2 * workers; turn += 1) others.push(await ask(edge.port, '/other/path'))
    expect(new Set(others.map(({ headers }) => headers['x-backend']))).toEqual(new Set([idOf(second)]))
    let clients = 8
    const limited = await askUnhindered(edge.port, 7, () => `127.0.0.${(clients += 1)}`)
    expect(limited.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 429, 429])
    await load.more(300)

    await reload(edge, { backends: [third.port], server })
    await until(async () => {
      const replies = await askInTurn(edge.port, 2 * workers, { from: '127.0.0.9' })
      return replies.every(({ status, headers }) => status === 200 && headers['x-rate-limit-limit'] === undefined)
    })
    expect((await ask(edge.port, '/other/path')).headers['x-backend']).toBe(idOf(third))
    await load.more(300)
    await load.stop()
    expect(load.faults).toEqual([])
  })
})

test('a limit that is changed counts anew; one that is not goes on counting', async () => {
  const { port } = await recordingBackend()
  const limited = (requests: number, more = ''): EdgeFile => ({
    backends: [port],
    tables: `[rate_limit]\nmax_requests = ${requests}\n${more}`,
  })
  const edge = await edgeBy(limited(5))
  const left = async (): Promise<unknown> => (await ask(edge.port)).headers['x-rate-limit-remaining']
  expect([await left(), await left()]).toEqual(['4', '3'])
  await reload(edge, limited(5, 'exempt = ["192.0.2.1"]\n[access]\ndeny = ["192.0.2.2"]'))
  expect(await left()).toBe('2')
  await reload(edge, limited(9))
  expect(await left()).toBe('8')
})

test('a file with faults is logged with line and reason, and all stays as it was', async () => {
  const { port } = await recordingBackend()
  const file = { backends: [port], tables: '[rate_limit]\nmax_requests = 100' }
  const edge = await edgeBy(file)
  const faulty = [
    [{ ...file, server: 'workers = 0' }, /line 3: server\.workers: got 0; allowed: a whole number from 1 to 256/],
    [{ ...file, tables: '[rate_limits]\n' }, /line 7: rate_limits: is not known; did you mean rate_limit\?/],
    [{ ...file, tables: '[[routes]]\nprefix = "/a"\nupstreams = "none"' }, /line 9: .*got "none"; allowed: "default"/],
    [{ ...file, tables: '[metrics]\nenabled = ' }, /line 8: /],
  ] as const
  for (const [next, reason] of faulty) {
    await edge.rewrite(edgeToml(next))
    edge.kill('SIGHUP')
    const said = await edge.waitForLine(({ faults }) => reason.test(String(faults)))
    expect(said).toMatchObject({ level: 'error', msg: 'the configuration has faults and was not taken over' })
    const { status, headers } = await ask(edge.port)
    expect([status, headers['x-rate-limit-limit']]).toEqual([200, '100'])
  }
  expect(edge.output()).not.toContain(takenOver)
  await reload(edge, { ...file, tables: '[rate_limit]\nmax_requests = 200' })
  expect((await ask(edge.port)).headers['x-rate-limit-limit']).toBe('200')
})

test('what began under the old file ends under it, at a backend that is no longer there', async () => {
  const old = await ScriptedBackend.start()
  opened.push(async () => old[Symbol.asyncDispose]())
  const fresh = await recordingBackend()
  const edge = await edgeBy({ backends: [old.port] })
  const waiting = ask(edge.port, '/waiting')
  const [silent] = [await old.accept()]
  await silent.saw('/waiting')
  const streaming = ask(edge.port, '/streaming')
  const flowing = await old.accept()
  await flowing.saw('/streaming')
  flowing.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst')
  await reload(edge, { backends: [fresh.port] })
  expect((await ask(edge.port)).headers['x-backend']).toBe(idOf(fresh))
  flowing.write('later')
  silent.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate')
  expect(await streaming).toMatchObject({ status: 200, body: 'firstlater' })
  expect(await waiting).toMatchObject({ status: 200, body: 'late' })
  // And nothing is kept open to it.
  expect([await flowing.ended, await silent.ended]).toEqual(['closed', 'closed'])
})

test('so do hidden paths and the endpoint of the metrics', async () => {
  const { port } = await recordingBackend()
  const edge = await edgeBy({ backends: [port] })
  const statusOf = async (path: string): Promise<number> => (await ask(edge.port, path)).status
  expect([await statusOf('/stats'), await statusOf('/secret/x'), await statusOf('/metrics')]).toEqual([404, 200, 200])
  await reload(edge, {
    backends: [port],
    server: 'hidden_paths = ["/secret"]',
    tables: '[metrics]\nendpoint = "/other-metrics"',
  })
  expect([await statusOf('/stats'), await statusOf('/secret/x'), await statusOf('/metrics')]).toEqual([200, 404, 200])
  const { body } = await ask(edge.port, '/other-metrics')
  expect(metricIn(body, 'http_requests_duration_seconds_count{method="GET",status="404"}')).toBe(2)
})

test('how long a connection stays open takes effect over HTTP/2 too; how many fields a request has there is said', async () => {
  const { port } = await recordingBackend()
  const certificate = await testCertificate()
  opened.push(async () => certificate[Symbol.asyncDispose]())
  const file = { backends: [port], tables: certificate.toml }
  const edge = await edgeBy(file)
  await edge.rewrite(edgeToml({ ...file, server: 'keep_alive_seconds = 0.1\nmax_headers = 50' }))
  edge.kill('SIGHUP')
  const said = await edge.waitForLine(({ msg }) => msg === 'changed, but only a restart puts it in force')
  expect(said).toMatchObject({ keys: ['[server] max_headers (over HTTP/2)'] })
  await edge.waitForLine(({ msg }) => msg === takenOver)
  const wire = await H2Wire.to(edge.port)
  opened.push(async () => wire.destroy())
  await wire.ended
})

test('what only a restart can change is said, and the rest is taken over', async () => {
  const { port } = await recordingBackend()
  const edge = await edgeBy({ backends: [port] })
  const toml = edgeToml({ backends: [port], server: 'workers = 2', tables: '[rate_limit]\nmax_requests = 77' })
  await edge.rewrite(toml.replace('127.0.0.1:0', '127.0.0.1:1'))
  edge.kill('SIGHUP')
  const said = await edge.waitForLine(({ msg }) => msg === 'changed, but only a restart puts it in force')
  expect(said).toMatchObject({ level: 'warn', keys: ['[server] listen', '[server] workers'] })
  await edge.waitForLine(({ msg }) => msg === takenOver)
  expect((await ask(edge.port)).headers['x-rate-limit-limit']).toBe('77')
})
