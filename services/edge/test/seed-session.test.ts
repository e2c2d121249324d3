import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { atDeathRun } from '@ipfleet/testing/service-process-guard.ts'
import { isPortFree, likelyFreePort } from '@ipfleet/testing/service-process-port.ts'
import type { ServiceProcess } from '@ipfleet/testing/service-process.ts'
import { until } from '@ipfleet/testing/until.ts'
import { ask, askInTurn, askUnhindered } from './ask.ts'
import { startEchoBackend } from './start-echo-backend.ts'
import { type RunningEdge, startEdgeFrom } from './start-edge.ts'
import { keepAlive, metricIn } from './worker-fleet.ts'

/** The session of the proxy that this one follows: its file, two backends, and what its users ask. */

interface Ports {
  readonly edge: number
  readonly backends: readonly [number, number]
}

/** The file as it is delivered, on ports that are free. */
async function deliveredFile({ edge, backends: [first, second] }: Ports): Promise<string> {
  const toml = await readFile(new URL('../config/proxy.toml', import.meta.url), 'utf8')
  return toml
    .replace('0.0.0.0:8080', `127.0.0.1:${edge}`)
    .replace('127.0.0.1:8000', `127.0.0.1:${first}`)
    .replace('127.0.0.1:8001', `127.0.0.1:${second}`)
}

const distinct = (names: readonly string[]): string[] => [...new Set(names)].toSorted()

const histogram = (status: number, le: string): string =>
  `http_requests_duration_seconds_bucket{method="GET",status="${status}",le="${le}"}`

const script = (name: string): string => fileURLToPath(new URL(`../scripts/${name}`, import.meta.url))

/** Three that are free now, and not given to outgoing connections meanwhile. */
async function freePorts(): Promise<Ports> {
  const first = likelyFreePort()
  const ports = [first, first + 1, first + 2] as const
  const free = await Promise.all(ports.map(isPortFree))
  return free.every(Boolean) ? { edge: ports[0], backends: [ports[1], ports[2]] } : freePorts()
}

describe('by the file as it is delivered', () => {
  let backends: readonly [ServiceProcess, ServiceProcess]
  let edge: RunningEdge
  beforeAll(async () => {
    backends = [await startEchoBackend(), await startEchoBackend()]
    edge = await startEdgeFrom(await deliveredFile({ edge: 0, backends: [backends[0].port, backends[1].port] }))
  })
  afterAll(async () => {
    await edge.stop()
    for (const backend of backends) await backend.stop()
  })

  let clients = 1
  /** An address that has asked nothing yet: each has ten requests a minute. */
  const newClient = (): string => `127.0.0.${++clients}`
  const names = (): string[] => backends.map(({ port }) => `127.0.0.1:${port}`)

  // First, since it counts what has been asked of this edge.
  test('the metrics count what all processes have answered, with the histogram by its name', async () => {
    const replies = await askInTurn(edge.port, 15, { from: newClient() })
    const countOf = (wanted: number): number => replies.filter(({ status }) => status === wanted).length
    let looks = 0
    // A worker that stands still is not waited for: it counts by what it said last, until it runs again.
    const {
      status,
      headers,
      body: page,
    } = await until(async () => {
      const reply = await ask(edge.port, '/metrics')
      const counts = [200, 429].map((one) => metricIn(reply.body, histogram(one, '+Inf')))
      // The looks before this one are counted too.
      const isAll = counts.join() === [countOf(200) + looks, countOf(429)].join()
      looks += 1
      return isAll && reply
    })
    expect([status, headers['content-type']]).toEqual([200, expect.stringContaining('text/plain')])
    expect(metricIn(page, histogram(200, '0.01'))).toEqual(expect.any(Number))
    expect(page).toContain('\nhttp_requests_duration_seconds_sum{method="GET",status="200"} ')
    expect(page).toContain('\nhttp_requests_duration_seconds_count{method="GET",status="200"} ')
    expect(page).toContain('\n# TYPE http_requests_duration_seconds histogram\n')
  })

  test('four processes serve, and six requests alternate between the two backends', async () => {
    expect(edge.lines().find(({ msg }) => msg === 'listening')).toMatchObject({ workers: 4 })
    const replies = await askInTurn(edge.port, 6, { from: newClient() })
    const answerers = replies.map(({ body }) => JSON.parse(body).backend)
    const [one, other] = answerers
    expect(answerers).toEqual([one, other, one, other, one, other])
    expect(distinct(answerers)).toEqual(distinct(names()))
  })

  test('so do those that come over one connection', async () => {
    const agent = keepAlive()
    const replies = await askInTurn(edge.port, 10, { from: newClient(), agent })
    agent.destroy()
    const [one, other] = names().toSorted()
    const answerers = replies.map(({ headers }) => headers['x-backend'])
    expect([[one, other].join(), [other, one].join()]).toContain(answerers.slice(0, 2).join())
    expect(answerers).toEqual(answerers.map((_, index) => answerers[index % 2]))
  })

  test('fifteen requests give ten 200s and five 429s, whose headers say when there will be more', async () => {
    const replies = await askUnhindered(edge.port, 15, newClient)
    expect(replies.map(({ status }) => status)).toEqual([...Array(10).fill(200), ...Array(5).fill(429)])
    const left = replies.map(({ headers }) => Number(headers['x-rate-limit-remaining']))
    expect(left).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0, 0, 0, 0])
    for (const { headers } of replies) {
      expect(headers).toMatchObject({
        'x-rate-limit-limit': '10',
        'x-rate-limit-reset': expect.stringMatching(/^\d+$/),
        'ratelimit-policy': '"client";q=10;w=60',
        ratelimit: expect.stringMatching(/^"client";r=\d+;t=\d+$/),
      })
      expect(Number(headers['x-rate-limit-reset'])).toBeLessThanOrEqual(60)
    }
    const refusal = replies.at(-1)
    // Of two windows in a row both count, so that it may be longer than one.
    expect(Number(refusal?.headers['retry-after'])).toBeGreaterThanOrEqual(1)
    expect(Number(refusal?.headers['retry-after'])).toBeLessThanOrEqual(120)
    expect(refusal?.headers['content-type']).toContain('application/json')
    expect(JSON.parse(refusal?.body ?? '')).toMatchObject({ status: 429 })
    expect(refusal?.headers).not.toHaveProperty('x-backend')
    expect(replies[0]?.headers).not.toHaveProperty('retry-after')
  })

  test('the answer says who gave it, and the backend is told of the proxy', async () => {
    const from = newClient()
    const { headers, body } = await ask(edge.port, '/test?a=1', { from })
    const seen = JSON.parse(body)
    expect(headers['x-backend']).toBe(seen.backend)
    expect(seen).toMatchObject({ method: 'GET', path: '/test?a=1' })
    expect(seen.headers).toMatchObject({ 'x-proxy': 'ipfleet', 'x-real-ip': from, 'x-forwarded-for': from })
  })
})

describe('the scripts', () => {
  const { PATH = '', HOME = '' } = process.env

  test('start all, find all well, and leave nothing behind after Ctrl-C', async () => {
    const folder = await temporaryFolder('scripts')
    const ports = await freePorts()
    const file = join(folder.path, 'proxy.toml')
    // One process counts exactly, also on a machine that stands still for a while.
    await writeFile(file, (await deliveredFile(ports)).replace('workers = 4', 'workers = 1'))
    const env = { PATH, HOME, BACKEND_PORTS: ports.backends.join(' '), RUST_LOG: 'warn' }
    const all = spawn('bash', [script('start_all.sh'), file], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    const disarm = atDeathRun(`kill ${all.pid}`)
    const ended = once(all, 'exit')
    try {
      const errors = text(all.stderr)
      for await (const line of createInterface({ input: all.stdout })) if (line.includes('Ctrl-C stops all')) break
      const testing = spawn('bash', [script('test_proxy.sh'), `http://127.0.0.1:${ports.edge}`], { env: { PATH } })
      const [said, [code]] = await Promise.all([text(testing.stdout), once(testing, 'exit')])
      expect(said.trimEnd().split('\n')).toEqual(Array(8).fill(expect.stringMatching(/^ok {4}\S/)))
      expect(code).toBe(0)
      // A second run within the minute says how long to wait, and finds no fault with the proxy.
      const again = spawn('bash', [script('test_proxy.sh'), `http://127.0.0.1:${ports.edge}`], { env: { PATH } })
      expect(await text(again.stdout)).toMatch(/try again in \d+ s/)
      all.kill('SIGINT')
      expect(await ended).toEqual([130, null])
      expect(await errors).not.toContain('has ended')
      expect(await Promise.all([ports.edge, ...ports.backends].map(isPortFree))).toEqual([true, true, true])
    } finally {
      all.kill('SIGTERM')
      await ended
      disarm()
      await folder.remove()
    }
  })

  test('say so when a port is taken, and start nothing', async () => {
    const taken = await startEchoBackend()
    const ports = await freePorts()
    const folder = await temporaryFolder('scripts')
    const file = join(folder.path, 'proxy.toml')
    await writeFile(file, await deliveredFile({ ...ports, edge: taken.port }))
    const env = { PATH, HOME, BACKEND_PORTS: ports.backends.join(' ') }
    const all = spawn('bash', [script('start_all.sh'), file], { env, stdio: ['ignore', 'ignore', 'pipe'] })
    const [said, [code]] = await Promise.all([text(all.stderr), once(all, 'exit')])
    expect([said, code]).toEqual([`port ${taken.port} is taken\n`, 1])
    expect(await Promise.all(ports.backends.map(isPortFree))).toEqual([true, true])
    await taken.stop()
    await folder.remove()
  })
})
