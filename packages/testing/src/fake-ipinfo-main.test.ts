import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { compileCache } from './compile-cache.ts'
import { afterEach, expect, test } from '@jest/globals'
import { type FakeControl, fakeControl } from './fake-ipinfo-control.ts'

const entry = fileURLToPath(new URL('fake-ipinfo-main.ts', import.meta.url))
let child: ChildProcess | undefined

afterEach(async () => {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
})

function run(args: readonly string[]): ChildProcess {
  child = spawn(process.execPath, [entry, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: compileCache })
  return child
}

async function start(...args: string[]): Promise<{ url: string; control: FakeControl; process: ChildProcess }> {
  const started = run(args)
  if (started.stdout === null) throw new Error('no stdout')
  const [line]: string[] = await once(createInterface(started.stdout), 'line')
  const said: { msg: string; port: number; url: string } = JSON.parse(line ?? '')
  expect(said).toEqual({ msg: 'listening', port: expect.any(Number), url: `http://127.0.0.1:${said.port}` })
  return { url: said.url, control: fakeControl(said.url), process: started }
}

async function output(args: readonly string[]): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const started = run(args)
  const said = { stdout: '', stderr: '' }
  started.stdout?.on('data', (chunk: Buffer) => (said.stdout += chunk.toString()))
  started.stderr?.on('data', (chunk: Buffer) => (said.stderr += chunk.toString()))
  const [code]: unknown[] = await once(started, 'close')
  return { code, ...said }
}

test('its own process serves keys, quotas and latency, and its controls drive it', async () => {
  const { url, control } = await start('--keys', 'a,b', '--quota', '2', '--latency-ms', '20', '--retry-after', '5')
  const ask = (token: string): Promise<Response> => fetch(`${url}/8.8.8.8?token=${token}`)
  const before = performance.now()
  expect((await ask('a')).status).toBe(200)
  expect(performance.now() - before).toBeGreaterThanOrEqual(18)
  await ask('a')
  const limited = await ask('a')
  expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '5'])
  expect((await ask('c')).status).toBe(403)
  await control.resetQuota('a')
  expect((await ask('a')).status).toBe(200)
  expect(await control.stats()).toEqual({ total: 5, byToken: { a: 4, c: 1 }, byPath: { '/8.8.8.8': 5 } })
  expect((await control.calls()).map(({ status }) => status)).toEqual([200, 200, 429, 403, 200])
  await control.clearCalls()
  expect(await control.calls()).toEqual([])
})

test('faults, gates and arrivals work from another process', async () => {
  const { url, control } = await start()
  const status = async (path: string): Promise<number> => (await fetch(`${url}${path}?token=a`)).status
  await control.behave({ kind: '401-storm', paths: ['/1.1.1.1'] })
  expect([await status('/1.1.1.1'), await status('/8.8.8.8')]).toEqual([401, 200])
  await control.heal()
  expect(await status('/1.1.1.1')).toBe(200)
  await control.hold({ paths: ['/2.2.2.2'] })
  const held = status('/2.2.2.2')
  expect(await control.waitForCalls(1, { paths: ['/2.2.2.2'] })).toMatchObject({ path: '/2.2.2.2?token=a', token: 'a' })
  await control.release()
  expect(await held).toBe(200)
  await expect(control.waitForCalls(1, { paths: ['/never'], timeoutMs: 10 })).rejects.toThrow('408')
  const unknown = await fetch(`${url}/_fake/behave`, { method: 'POST', body: '{"kind":"mood"}' })
  expect(unknown.status).toBe(400)
})

test.each(['SIGTERM', 'SIGINT'] as const)('%s ends it cleanly, in the middle of an answer too', async (signal) => {
  const { url, control, process: started } = await start()
  await control.behave({ kind: 'hang' })
  const outcome = Promise.allSettled([fetch(`${url}/8.8.8.8?token=a`)])
  await control.waitForCalls(1)
  const exited = once(started, 'exit')
  started.kill(signal)
  expect(await exited).toEqual([0, null])
  expect((await outcome).map((asked) => asked.status)).toEqual(['rejected'])
})

test('--help names every option', async () => {
  const { code, stdout } = await output(['--help'])
  expect(code).toBe(0)
  for (const option of ['--port', '--host', '--keys', '--quota', '--latency-ms']) expect(stdout).toContain(option)
})

test.each([[['--port', 'x']], [['--nonsense']]])('a wrong option, %j, is named and ends with 2', async (args) => {
  const { code, stderr } = await output(args)
  expect(code).toBe(2)
  expect(stderr).toContain(args[0])
})
