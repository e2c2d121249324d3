import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { sameSignalMs } from '@ipfleet/core/stop-signals.ts'
import { compileCache } from '@ipfleet/testing/compile-cache.ts'
import { until } from '@ipfleet/testing/until.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { RecordingOrigin } from './recording-origin.ts'
import { SilentListener } from './silent-listener.ts'
import { egressEntry, type RunningEgress, startEgress } from './start-egress.ts'
import { askThrough, tunnelThrough } from './through.ts'

/** What somebody sees who starts the proxy, and who stops it. */

const opened: (() => unknown)[] = []
let origin: RecordingOrigin
beforeEach(async () => {
  origin = await RecordingOrigin.start()
  opened.push(() => origin[Symbol.asyncDispose]())
})
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close()
})

async function proxy(env: Readonly<Record<string, string>> = {}): Promise<RunningEgress> {
  const egress = await startEgress(env)
  opened.push(() => egress.stop())
  return egress
}

/** An address of this machine that others reach it at, if it has one. */
const outside = Object.values(networkInterfaces())
  .flatMap((addresses = []) => addresses)
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address

async function isServedAt(host: string, port: number): Promise<boolean> {
  try {
    const answer = await fetch(`http://${host}:${port}/`)
    await answer.body?.cancel()
    return true
  } catch {
    return false
  }
}

/** Runs it until it ends by itself. */
function run(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [egressEntry, ...args], {
    cwd: tmpdir(),
    env: { ...compileCache, METRICS_ADDR: 'off', LISTEN_ADDR: '127.0.0.1:0', ...env },
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

describe('starting', () => {
  test('without credentials it listens on loopback only, and says so', async () => {
    const egress = await proxy({ LISTEN_ADDR: '0.0.0.0:0' })
    expect(egress.lines()).toContainEqual(expect.objectContaining({ msg: 'listening', host: '127.0.0.1' }))
    expect(egress.lines()).toContainEqual(
      expect.objectContaining({ level: 'warn', msg: expect.stringContaining('listens on loopback only') }),
    )
    expect(await isServedAt('127.0.0.1', egress.port)).toBe(true)
    expect(outside !== undefined && (await isServedAt(outside, egress.port))).toBe(false)
  })

  test('with credentials it listens where it is told to', async () => {
    const egress = await proxy({ LISTEN_ADDR: ':0', PROXY_USER: 'user', PROXY_PASS: 'secret' })
    expect(egress.lines()).toContainEqual(expect.objectContaining({ msg: 'listening', host: '0.0.0.0' }))
    expect(egress.output()).not.toContain('loopback only')
    expect(await isServedAt(outside ?? '127.0.0.1', egress.port)).toBe(true)
  })

  test('--check and --help start nothing', () => {
    expect(run(['--check'])).toEqual({ status: 0, stdout: 'egress: settings are valid\n', stderr: '' })
    const { status, stdout } = run(['--help'])
    expect(status).toBe(0)
    for (const name of [
      'IP_POOL',
      'PROXY_USER',
      'PROXY_PASS',
      'LISTEN_ADDR',
      'RATE_LIMIT_BURST',
      'RATE_LIMIT_REFILL',
    ]) {
      expect(stdout).toContain(`\n  ${name} `)
    }
    expect(run(['--check'], { RATE_LIMIT_BURST: 'many' })).toMatchObject({ status: 2, stdout: '' })
  })

  test('a port that another has is said in words, with code 1', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    opened.push(() => other.close())
    const at = other.address()
    const port = typeof at === 'object' && at !== null ? at.port : 0
    const { status, stdout, stderr } = run([], { LISTEN_ADDR: `127.0.0.1:${port}` })
    expect([status, stdout + stderr]).toEqual([1, expect.stringContaining('another process has the port')])
  })
})

describe('SIGTERM', () => {
  test('lets a request under way end, and takes no other', async () => {
    const egress = await proxy({ DRAIN_MS: '10000' })
    const held: ServerResponse[] = []
    origin.answer = (_req, res) => void held.push(res)
    const asked = askThrough(egress.port, origin.url)
    await until(() => held.length === 1)
    egress.kill('SIGTERM')
    await until(async () => !(await isServedAt('127.0.0.1', egress.port)))
    expect((await fetch(`http://127.0.0.1:${egress.metricsPort}/readyz`)).status).toBe(503)
    held[0]?.end('late')
    expect(await asked).toMatchObject({ status: 200, body: 'late' })
    expect(await egress.exited).toEqual({ code: 0, signal: null })
  })

  test('gives tunnels DRAIN_MS, and then closes both sides of them', async () => {
    const egress = await proxy({ DRAIN_MS: '5000' })
    const { wire } = await tunnelThrough(egress.port, origin.authority)
    const stoppedMs = performance.now()
    egress.kill('SIGTERM')
    await until(async () => !(await isServedAt('127.0.0.1', egress.port)))
    wire.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
    await wire.saw('127.0.0.1')
    expect(await wire.ended).toBe('closed')
    const tookMs = performance.now() - stoppedMs
    expect(tookMs).toBeGreaterThan(4900)
    expect(await egress.exited).toEqual({ code: 0, signal: null })
    expect(egress.lines()).toContainEqual(expect.objectContaining({ msg: 'tunnel closed', end: 'stopped' }))
  })

  test('does not wait longer than the last tunnel stands', async () => {
    const egress = await proxy({ DRAIN_MS: '60000' })
    const idle = await Wire.to(egress.port)
    opened.push(() => idle.destroy())
    const { wire } = await tunnelThrough(egress.port, origin.authority)
    egress.kill('SIGTERM')
    await until(async () => !(await isServedAt('127.0.0.1', egress.port)))
    wire.destroy()
    expect(await egress.exited).toEqual({ code: 0, signal: null })
  })

  test('does not wait for clients that it asks for credentials afterwards', async () => {
    const egress = await proxy({ DRAIN_MS: '60000', PROXY_USER: 'user', PROXY_PASS: 'right' })
    const wire = await Wire.to(egress.port)
    opened.push(() => wire.destroy())
    wire.write('CONNECT 127.0.0.1:443 HTT')
    await until(async () => (await egress.metrics()).includes('\nipfleet_egress_open_connections 1\n'))
    egress.kill('SIGTERM')
    await until(async () => !(await isServedAt('127.0.0.1', egress.port)))
    wire.write('P/1.1\r\n\r\n')
    expect(await wire.saw('\r\n\r\n')).toMatch(/^HTTP\/1\.1 407 [^]*\r\nConnection: close\r\n/)
    expect(await egress.exited).toEqual({ code: 0, signal: null })
  })

  test('does not wait for targets that are silent, nor for requests that are not whole, once DRAIN_MS are over', async () => {
    const silent = await SilentListener.start('127.0.0.1')
    opened.push(() => silent.stop())
    const egress = await proxy({ CONNECT_TIMEOUT_MS: '600000' })
    const wires = [await Wire.to(egress.port), await Wire.to(egress.port)]
    for (const wire of wires) opened.push(() => wire.destroy())
    wires[0]?.write(`CONNECT 127.0.0.1:${silent.port} HTTP/1.1\r\n\r\n`)
    wires[1]?.write('CONNECT 127.0.0.1:443 HTT')
    await until(async () => (await egress.metrics()).includes('\nipfleet_egress_open_connections 2\n'))
    egress.kill('SIGTERM')
    await Promise.all(wires.map((wire) => wire.ended))
    expect(await egress.exited).toEqual({ code: 0, signal: null })
  })

  test('a second time ends it at once', async () => {
    const egress = await proxy({ DRAIN_MS: '60000' })
    const { wire } = await tunnelThrough(egress.port, origin.authority)
    opened.push(() => wire.destroy())
    egress.kill('SIGTERM')
    await egress.waitForLine(({ msg }) => msg === 'stopping')
    // Sooner it would be the same Ctrl-C.
    await sleep(2 * sameSignalMs)
    egress.kill('SIGTERM')
    expect(await egress.exited).toEqual({ code: 143, signal: null })
  })
})
