import { compileCache } from '../src/compile-cache.ts'
import { once } from 'node:events'
import { homedir } from 'node:os'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from '@jest/globals'
import { spawnGuarded, type GuardedChild } from '../src/service-process-child.ts'
import { isPortFree, likelyFreePort } from '../src/service-process-port.ts'

const command = fileURLToPath(new URL('../src/fleet-command.ts', import.meta.url))
const stub = fileURLToPath(new URL('fixtures/service.ts', import.meta.url))

interface FleetRun {
  readonly child: GuardedChild
  readonly lines: string[]
  /** The first line, past or to come, that contains `text`. */
  readonly line: (text: string) => Promise<string>
}

let run: FleetRun | undefined

afterEach(async () => {
  run?.child.kill('SIGKILL')
  await run?.child.exited
  run = undefined
})

/** Runs the command with stubs for the replicas and the fake. */
async function fleet(...args: readonly string[]): Promise<FleetRun> {
  const child = await spawnGuarded(process.execPath, {
    args: [command, '--replica-entry', stub, '--fake-entry', stub, ...args],
    env: { PATH: process.env['PATH'] ?? '', HOME: homedir(), ...compileCache },
    cwd: '/',
  })
  const lines: string[] = []
  const waiting = new Map<string, (line: string) => void>()
  child.onLine((line) => {
    lines.push(line)
    for (const [text, resolve] of waiting) if (line.includes(text)) resolve(line)
  })
  const line = async (text: string): Promise<string> => {
    const past = lines.find((written) => written.includes(text))
    if (past !== undefined) return past
    const ended = child.exited.then(() => {
      throw new Error(`the fleet ended before "${text}":\n${lines.join('\n')}`)
    })
    return Promise.race([new Promise<string>((resolve) => void waiting.set(text, resolve)), ended])
  }
  run = { child, lines, line }
  return run
}

/** The first of `count` neighbouring ports that are free. */
async function freePorts(count: number): Promise<number> {
  const first = likelyFreePort()
  const free = await Promise.all(Array.from({ length: count }, (_, index) => isPortFree(first + index)))
  return free.includes(false) ? freePorts(count) : first
}

async function envOf(port: number): Promise<Record<string, string>> {
  const response = await fetch(`http://127.0.0.1:${port}/`)
  const { env } = (await response.json()) as { env: Record<string, string> }
  return env
}

test('three replicas come up on neighbouring ports with one Redis, one fake and its keys', async () => {
  const port = await freePorts(3)
  const { line, lines } = await fleet('--replicas', '3', '--port', String(port), '--keys', '2')
  expect(await line('try:')).toContain(`curl localhost:${port}/8.8.8.8`)
  const [first, second, third] = await Promise.all([envOf(port), envOf(port + 1), envOf(port + 2)])
  expect(first).toMatchObject({ LOG_FORMAT: 'text', IPINFO_KEYS: 'fleet-key-1,fleet-key-2' })
  expect(first?.['REDIS_URL']).toMatch(/^redis:\/\/127\.0\.0\.1:\d+$/)
  const told = lines.join('\n')
  expect(told).toContain(`REDIS_URL=${first?.['REDIS_URL']} LOOKUP_URL=http://localhost:${port} npm run jobs`)
  expect(told).toContain(`upstreams.backends = ["http://localhost:${port}",`)
  expect([second?.['REDIS_URL'], third?.['REDIS_URL']]).toEqual([first?.['REDIS_URL'], first?.['REDIS_URL']])
  const fake = await fetch(String(first?.['IPINFO_BASE_URL']))
  expect(await fake.json()).toMatchObject({
    argv: expect.arrayContaining(['--keys', 'fleet-key-1,fleet-key-2', '--latency-ms', '20']),
  })
})

test('each line says whose it is, without colours in a pipe', async () => {
  const port = await freePorts(1)
  const { line, lines } = await fleet('--replicas', '1', '--port', String(port))
  await line('try:')
  await envOf(port)
  // All in the format of the replicas' text.
  for (const who of ['redis', 'ipinfo']) {
    expect(lines.join('\n')).toMatch(new RegExp(`^${who} +\\| \\S+Z INFO {2}listening port=\\d+`, 'm'))
  }
  expect(await line('"request"')).toMatch(/^replica-1 +\| \{"msg":"request"/)
})

// A terminal signals the whole group and npm passes the signal on, so the command may meet it twice.
test.each(['SIGINT', 'SIGTERM', 'SIGINT twice'])('%s stops all and exits 0', async (how) => {
  const port = await freePorts(2)
  const { child, line, lines } = await fleet('--replicas', '2', '--port', String(port))
  await line('try:')
  const { REDIS_URL, IPINFO_BASE_URL } = await envOf(port)
  child.kill(how === 'SIGTERM' ? 'SIGTERM' : 'SIGINT')
  if (how === 'SIGINT twice') child.kill('SIGINT')
  expect(await child.exited).toEqual({ code: 0, signal: null })
  expect(lines.at(-1)).toContain('stopped')
  const ports = [port, port + 1, portOf(REDIS_URL), portOf(IPINFO_BASE_URL)]
  expect(await Promise.all(ports.map((each) => isPortFree(each)))).toEqual([true, true, true, true])
})

test('Ctrl-C while the fleet is still starting stops it as well', async () => {
  const port = await freePorts(2)
  const { child, line } = await fleet('--replicas', '2', '--port', String(port))
  await line('redis ')
  child.kill('SIGINT')
  expect(await child.exited).toEqual({ code: 0, signal: null })
  expect(await isPortFree(port)).toBe(true)
})

test('a replica that dies by itself is named, the rest is stopped, and the exit code is 1', async () => {
  const port = await freePorts(2)
  const { child, line } = await fleet('--replicas', '2', '--port', String(port))
  await line('try:')
  await fetch(`http://127.0.0.1:${port + 1}/exit`).catch(() => undefined)
  expect(await line('ended unexpectedly')).toContain('replica-2 ended unexpectedly (exit code 7)')
  expect(await child.exited).toEqual({ code: 1, signal: null })
  expect(await isPortFree(port)).toBe(true)
})

test('a port that is taken is named before anything starts', async () => {
  const port = await freePorts(2)
  const taker = createServer().listen(port + 1, '127.0.0.1')
  await once(taker, 'listening')
  const { child, lines } = await fleet('--replicas', '2', '--port', String(port))
  expect(await child.exited).toEqual({ code: 1, signal: null })
  expect(lines).toEqual([expect.stringContaining(`already in use: port ${port + 1}`)])
  taker.close()
  await once(taker, 'close')
})

test('a member that cannot start ends the fleet with its reason', async () => {
  const port = await freePorts(1)
  const { child, lines } = await fleet('--port', String(port), '--replica-entry', '/no/such/entry.ts')
  expect(await child.exited).toEqual({ code: 1, signal: null })
  expect(lines.at(-1)).toMatch(/replica-\d ended unexpectedly \(exit code 1\)/)
})

test('--help lists the options; a wrong one is refused with what is allowed', async () => {
  const helped = await fleet('--help')
  expect(await helped.child.exited).toEqual({ code: 0, signal: null })
  expect(helped.lines.join('\n')).toContain('--latency-ms N')
  const refused = await fleet('--replicas', 'three')
  expect(await refused.child.exited).toEqual({ code: 2, signal: null })
  expect(refused.lines.join('\n')).toContain('--replicas is "three"; allowed are whole numbers from 1 to 100')
})

function portOf(url: string | undefined): number {
  return Number(new URL(String(url)).port)
}
