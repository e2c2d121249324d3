import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { spawnGuarded } from '../src/service-process-child.ts'
import { isPortFree } from '../src/service-process-port.ts'
import { startService, type ServiceProcess } from '../src/service-process.ts'

const entry = fileURLToPath(new URL('fixtures/service.ts', import.meta.url))
const parentEntry = fileURLToPath(new URL('fixtures/parent.ts', import.meta.url))

interface Given {
  readonly env: Record<string, string>
  readonly cwd: string
  readonly argv: string[]
}

/** Runs `use` with a service and stops it, whatever happens. */
async function withService<T>(
  options: Partial<Parameters<typeof startService>[0]>,
  use: (service: ServiceProcess) => Promise<T>,
): Promise<T> {
  const service = await startService({ entry, ...options })
  try {
    return await use(service)
  } finally {
    service.kill('SIGKILL')
    await service.exited
  }
}

async function given(service: ServiceProcess): Promise<Given> {
  const response = await fetch(service.url)
  return (await response.json()) as Given
}

test('a service is reachable at its url once it is given, and gets its arguments', async () => {
  await withService({ args: ['plain', 'b c'] }, async (service) => {
    expect(service.url).toBe(`http://127.0.0.1:${service.port}`)
    expect((await given(service)).argv).toEqual(['plain', 'b c'])
  })
})

test('nothing of the environment reaches a service but PATH, HOME, a compile cache and what it is given', async () => {
  process.env['IPINFO_KEYS'] = 'a-key-of-the-developer'
  await withService({ env: { COLOUR: 'blue' } }, async (service) => {
    const { env } = await given(service)
    expect(Object.keys(env).toSorted()).toEqual(['COLOUR', 'HOME', 'NODE_COMPILE_CACHE', 'PATH'])
  })
  delete process.env['IPINFO_KEYS']
})

test('a service runs in an empty directory of its own, gone after it', async () => {
  const cwd = await withService({}, async (service) => (await given(service)).cwd)
  expect(cwd).not.toBe(process.cwd())
  expect(existsSync(cwd)).toBe(false)
})

test('log lines are parsed, and one to come can be awaited', async () => {
  await withService({}, async (service) => {
    const line = service.waitForLine(({ msg, path }) => msg === 'request' && path === '/x')
    await fetch(`${service.url}/x`)
    expect(await line).toEqual({ msg: 'request', path: '/x' })
    expect(service.lines()).toEqual([{ msg: 'listening', port: service.port }, await line])
    expect(service.output()).toContain('not a log line')
    expect(await service.waitForLine(({ msg }) => msg === 'listening')).toEqual({
      msg: 'listening',
      port: service.port,
    })
  })
})

test('awaiting a line that does not come fails with what the service wrote', async () => {
  await withService({}, async (service) => {
    await expect(service.waitForLine(() => false, 50)).rejects.toThrow(/took more than 50 ms.*not a log line/s)
    const line = service.waitForLine(() => false)
    service.kill('SIGKILL')
    await expect(line).rejects.toThrow('was ended by SIGKILL')
    await expect(service.waitForLine(() => false)).rejects.toThrow('was ended by SIGKILL')
  })
})

test('a service that exits at the start fails with its output', async () => {
  await expect(startService({ entry, args: ['exit'], name: 'lookup' })).rejects.toThrow(
    /lookup exited with code 3.*cannot start: no such thing/s,
  )
})

test('a service that does not say that it listens is ended', async () => {
  await expect(startService({ entry, args: ['silent'], startTimeoutMs: 500 })).rejects.toThrow('took more than 500 ms')
})

test('stop ends a service with SIGTERM, also one that is paused', async () => {
  const service = await startService({ entry })
  service.kill('SIGSTOP')
  expect(await service.stop()).toEqual({ code: 0, signal: null })
  expect(await service.stop()).toEqual({ code: 0, signal: null })
})

test('a process that ignores SIGTERM is killed when its grace is over', async () => {
  const child = await spawnGuarded(process.execPath, { args: [entry, 'deaf'], env: {}, cwd: '/' })
  await new Promise<void>((resolve) => {
    child.onLine((line) => {
      if (line.includes('listening')) resolve()
    })
  })
  expect(await child.stop(50)).toEqual({ code: null, signal: 'SIGKILL' })
})

test('a program that does not exist fails by its name', async () => {
  await expect(spawnGuarded('no-such-program', { args: [], env: {}, cwd: '/' })).rejects.toThrow(
    'no-such-program could not be started',
  )
})

test('when the test process is killed, all that it started dies with it', async () => {
  const parent = await startService({ entry: parentEntry })
  const listening = await parent.waitForLine(({ ports }) => Array.isArray(ports))
  const ports = Array.isArray(listening['ports']) ? listening['ports'].map(Number) : []
  expect(await Promise.all(ports.map((port) => isPortFree(port)))).not.toContain(true)
  parent.kill('SIGKILL')
  await parent.exited
  await Promise.all(ports.map((port) => untilFree(port)))
})

async function untilFree(port: number): Promise<void> {
  if (!(await isPortFree(port))) await untilFree(port)
}
