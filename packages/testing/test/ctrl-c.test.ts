import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { atDeathRun } from '../src/service-process-guard.ts'
import { temporaryFolder } from '../src/service-process-folder.ts'
import { isPortFree, likelyFreePort, waitUntilListening } from '../src/service-process-port.ts'
import { startTestRedis, type TestRedis } from '../src/test-redis.ts'
import { until } from '../src/until.ts'

/**
 * Somebody presses Ctrl-C, or closes the terminal. The terminal signals npm and the service, and npm passes its own
 * signal on.
 */

const repository = fileURLToPath(new URL('../../..', import.meta.url))
const folder = await temporaryFolder('ctrl-c')
const port = likelyFreePort()
const testTimeoutMs = 150_000

let redis: TestRedis
beforeAll(async () => {
  redis = await startTestRedis()
  await writeFile(join(folder.path, 'edge.toml'), `server.listen = "127.0.0.1:${port}"\n`)
})
afterAll(async () => {
  await redis.stop()
  await folder.remove()
})

interface Running {
  readonly child: ChildProcess
  readonly pid: number
  /** All that it has written. */
  readonly said: () => string
}

let running: Running | undefined
let disarm: (() => void) | undefined
afterEach(() => {
  if (running !== undefined && groupIsAlive(running.pid)) process.kill(-running.pid, 'SIGKILL')
  disarm?.()
  running = undefined
})

/** In a process group of its own, as a shell starts a job. */
function run(program: string, args: readonly string[], more: Readonly<Record<string, string>> = {}): Running {
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: homedir(),
    TERM: 'xterm',
    NO_COLOR: '1',
    HOST: '127.0.0.1',
    ...more,
  }
  const child = spawn(program, args, { cwd: repository, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const pid = child.pid ?? 0
  disarm = atDeathRun(`kill -s KILL -- -${pid}`)
  running = { child, pid, said: () => text }
  return running
}

function groupIsAlive(pid: number): boolean {
  try {
    return process.kill(-pid, 0)
  } catch {
    return false
  }
}

const hasScript = spawnSync('script', ['--version']).status === 0
if (!hasScript) process.stderr.write('Ctrl-C on a terminal is not tested: there is no `script` command\n')
const onTerminal = hasScript ? describe : describe.skip

onTerminal('on a terminal', () => {
  test.each([
    ['npm start', 'listening', () => ({ PORT: String(port) })],
    [`npm run edge -- --config ${folder.path}/edge.toml`, 'listening', () => ({})],
    ['npm run egress', 'listening', () => ({ LISTEN_ADDR: `127.0.0.1:${port}`, METRICS_ADDR: 'off' })],
    ['npm run jobs', 'listening', () => ({ PORT: String(port), REDIS_URL: redis.url })],
    [`npm run fleet -- --replicas 1 --port ${port}`, 'ready:', () => ({})],
  ] as const)(
    '%s drains, says so, and ends with 0',
    async (command, ready, env) => {
      // Without exec the shell in between would meet the signal too, and end with 130.
      const { child, said } = run('script', ['-qefc', `exec ${command}`, '/dev/null'], env())
      await until(() => said().includes(ready), testTimeoutMs)
      const closed = once(child, 'close')
      child.stdin?.write('\u0003')
      expect(await closed).toEqual([0, null])
      expect(said()).toContain('stopped')
      expect(await isPortFree(port)).toBe(true)
    },
    testTimeoutMs,
  )

  test.each([
    ['npm start', () => ({ PORT: String(port) })],
    [`npm run edge -- --config ${folder.path}/edge.toml`, () => ({})],
  ] as const)(
    '%s ends when the terminal is closed',
    async (command, env) => {
      const { child } = run('script', ['-qefc', `exec ${command}`, '/dev/null'], env())
      await waitUntilListening(port, AbortSignal.timeout(testTimeoutMs))
      child.kill('SIGKILL')
      await until(() => isPortFree(port), testTimeoutMs)
    },
    testTimeoutMs,
  )
})

describe('with the log in a pipe whose reader ends as well', () => {
  test(
    'npm start ends, and leaves nothing behind',
    async () => {
      const { pid } = run('sh', ['-c', 'npm start | cat'], { PORT: String(port), DRAIN_MS: '0' })
      await waitUntilListening(port, AbortSignal.timeout(testTimeoutMs))
      process.kill(-pid, 'SIGINT')
      await until(() => !groupIsAlive(pid), testTimeoutMs)
      expect(await isPortFree(port)).toBe(true)
    },
    testTimeoutMs,
  )

  test(
    'a later Ctrl-C ends it at once, whatever it is waiting for',
    async () => {
      const { pid } = run('sh', ['-c', 'npm start | cat'], { PORT: String(port), DRAIN_MS: '600000' })
      await waitUntilListening(port, AbortSignal.timeout(testTimeoutMs))
      await until(() => {
        if (groupIsAlive(pid)) process.kill(-pid, 'SIGINT')
        return !groupIsAlive(pid)
      }, testTimeoutMs)
      expect(await isPortFree(port)).toBe(true)
    },
    testTimeoutMs,
  )
})
