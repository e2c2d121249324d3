import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { expect, test } from '@jest/globals'

const command = fileURLToPath(new URL('../src/offline-db-command.ts', import.meta.url))

/** What it wrote and its exit code, with a registry that cannot be reached. */
async function run(...args: readonly string[]): Promise<{ output: string; code: number }> {
  const env = { ...process.env, NPM_CONFIG_REGISTRY: 'http://127.0.0.1:9', NPM_CONFIG_FETCH_RETRIES: '0' }
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [command, ...args], { env })
    return { output: stdout + stderr, code: 0 }
  } catch (error) {
    const { stdout, stderr, code } = error as { stdout: string; stderr: string; code: number }
    return { output: stdout + stderr, code }
  }
}

test('without a registry it says what to look at, ends with 1, and leaves nothing', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'offline-db-'))
  const { output, code } = await run('city', '--dir', directory)
  expect([code, readdirSync(directory)]).toEqual([1, []])
  expect(output).toContain('npm cannot fetch it. Is this machine online?')
  rmSync(directory, { recursive: true })
})

test.each(['SIGINT', 'SIGTERM'] as const)('%s ends it while it fetches, and leaves nothing', async (signal) => {
  const directory = mkdtempSync(join(tmpdir(), 'offline-db-'))
  const registry = createServer(() => undefined).listen(0, '127.0.0.1')
  try {
    await once(registry, 'listening')
    const { port } = registry.address() as AddressInfo
    const env = { ...process.env, NPM_CONFIG_REGISTRY: `http://127.0.0.1:${port}` }
    const child = spawn(process.execPath, [command, 'city', '--dir', directory], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const [ended, output] = [once(child, 'exit'), text(child.stderr)]
    await Promise.race([once(registry, 'request'), ended])
    child.kill(signal)
    expect([await ended, readdirSync(directory)]).toEqual([[signal === 'SIGINT' ? 130 : 143, null], []])
    // npm and Node may have warned.
    expect(await output).not.toContain('offline-db')
  } finally {
    registry.close()
    registry.closeAllConnections()
    rmSync(directory, { recursive: true })
  }
})

test.each([
  [[], 1, 'what it fetches is `city`'],
  [['towns'], 1, 'what it fetches is `city`'],
  [['city', '--to', 'x'], 1, "Unknown option '--to'"],
  [['--help'], 0, 'DB-IP City Lite, CC BY 4.0'],
])('%j is answered with what it takes', async (args, code, words) => {
  const result = await run(...args)
  expect([result.code, result.output.includes(words)]).toEqual([code, true])
})
