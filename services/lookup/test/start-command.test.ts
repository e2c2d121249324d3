import { until } from '@ipfleet/testing/until.ts'
import { execFile } from 'node:child_process'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, describe, expect, test } from '@jest/globals'
import { type GuardedChild, spawnGuarded } from '@ipfleet/testing/service-process-child.ts'
import { temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { isPortFree, likelyFreePort } from '@ipfleet/testing/service-process-port.ts'

/** What someone sees who has cloned the repository and types `npm start`. */

const execute = promisify(execFile)
const repository = fileURLToPath(new URL('../../..', import.meta.url))

/** As a new user has it: without the programs that this workspace has brought itself. */
const path = (process.env['PATH'] ?? '')
  .split(delimiter)
  .filter((folder) => !folder.includes('node_modules'))
  .join(delimiter)
const env = { PATH: path, HOME: homedir() }

/** Why a fresh copy cannot be installed here, or undefined. */
async function obstacle(): Promise<string | undefined> {
  try {
    await execute('git', ['-C', repository, 'rev-parse', 'HEAD'])
  } catch {
    return 'this is no git working tree, so there is nothing to clone'
  }
  try {
    await execute('npm', ['view', 'pnpm', 'version', '--prefer-offline'], { env, timeout: 20_000 })
  } catch {
    return 'npm is missing or its registry cannot be reached, so nothing can be installed'
  }
  return undefined
}

const reason = await obstacle()
if (reason !== undefined) process.stderr.write(`start-command.test.ts is skipped: ${reason}\n`)
const possible = reason === undefined ? describe : describe.skip

const folder = await temporaryFolder('clone')
afterAll(() => folder.remove())

const installTimeoutMs = 120_000
const stopTimeoutMs = 15_000

/** `npm start` in the clone, once it listens. Throws what it wrote if it does not get there. */
async function npmStart(clone: string, port: number): Promise<GuardedChild> {
  const child = await spawnGuarded('npm', { args: ['start'], env: { ...env, PORT: String(port) }, cwd: clone })
  const written: string[] = []
  const { promise: listening, resolve } = Promise.withResolvers<void>()
  child.onLine((line) => {
    written.push(line)
    if (line.includes('listening')) resolve()
  })
  const ended = child.exited.then(() => Promise.reject(new Error(`npm start ended:\n${written.join('\n')}`)))
  await Promise.race([listening, ended])
  ended.catch(() => undefined)
  return child
}

/** All that npm has started: they share its process group. */
function killGroup({ pid }: GuardedChild): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nobody is left.
  }
}

possible('a fresh clone', () => {
  test(
    'serves after npm start alone, and SIGTERM to npm ends all of it',
    async () => {
      const clone = join(folder.path, 'ipfleet')
      await execute('git', ['clone', '--quiet', repository, clone])
      const port = likelyFreePort()
      const npm = await npmStart(clone, port)
      let hasEnded = false
      void npm.exited.then(() => (hasEnded = true))
      try {
        const response = await fetch(`http://127.0.0.1:${port}/8.8.8.8`)
        expect(response.status).toBe(200)
        expect(await response.text()).toContain('"country": "US"')
        npm.kill('SIGTERM')
        // Settles when nobody holds npm's output any more, so a replica that outlives npm fails this.
        await until(() => hasEnded, stopTimeoutMs)
        expect(await isPortFree(port)).toBe(true)
      } finally {
        killGroup(npm)
        await npm.exited
      }
    },
    installTimeoutMs + stopTimeoutMs,
  )
})
