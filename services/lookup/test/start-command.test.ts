import { execFile, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type ChildExit, type GuardedChild, spawnGuarded } from '@ipfleet/testing/service-process-child.ts'
import { temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { isPortFree, likelyFreePort } from '@ipfleet/testing/service-process-port.ts'
import { until } from '@ipfleet/testing/until.ts'

/** What a user sees who has cloned the repository and types `npm start`. */

const execute = promisify(execFile)
const repository = fileURLToPath(new URL('../../..', import.meta.url))

/** As a new user has it: without the programs that this workspace has brought itself, and with npm told to run no scripts. */
const path = (process.env['PATH'] ?? '')
  .split(delimiter)
  .filter((folder) => !folder.includes('node_modules'))
  .join(delimiter)

const isCloneable = spawnSync('git', ['-C', repository, 'rev-parse', 'HEAD']).status === 0
if (!isCloneable) process.stderr.write('start-command.test.ts is skipped: this is no git working tree\n')
const possible = isCloneable ? describe : describe.skip

const canCutNetwork = spawnSync('unshare', ['-n', 'true']).status === 0
if (!canCutNetwork) process.stderr.write('starts without a network are not tested: `unshare -n` is not allowed here\n')
const withoutNetwork = canCutNetwork ? describe : describe.skip

const isRoot = process.getuid?.() === 0
if (!isRoot) process.stderr.write('a start with sudo is not tested: the tests do not run as root\n')
const asRoot = isRoot ? describe : describe.skip

const folder = await temporaryFolder('clone')
const userConfig = join(folder.path, 'npmrc')
writeFileSync(userConfig, `${readUserConfig()}\nignore-scripts=true\n`)
const env = { PATH: path, HOME: homedir(), npm_config_userconfig: userConfig }
const clone = join(folder.path, 'ipfleet')
const emptyHome = join(folder.path, 'home')
if (isCloneable) {
  beforeAll(async () => {
    await execute('git', ['clone', '--quiet', repository, clone])
    await execute('mkdir', [emptyHome])
  })
}
afterAll(() => folder.remove())

/** Where this machine's registry may be named. */
function readUserConfig(): string {
  const file = process.env['npm_config_userconfig'] ?? join(homedir(), '.npmrc')
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}

const installTimeoutMs = 120_000
const stopTimeoutMs = 60_000

/** All that a command in the clone has written, and how it ended. */
async function run(command: string, args: readonly string[], more: Readonly<Record<string, string>> = {}) {
  const child = await spawnGuarded(command, { args, env: { ...env, ...more }, cwd: clone })
  const lines: string[] = []
  child.onLine((line) => lines.push(line))
  const { code }: ChildExit = await child.exited
  return { code, text: lines.join('\n') }
}

/** `npm start` in the clone, once it listens. Throws what it wrote if it does not get there. */
async function npmStart(port: number, command = ['npm', 'start']) {
  const [program = '', ...args] = command
  const child = await spawnGuarded(program, { args, env: { ...env, PORT: String(port) }, cwd: clone })
  const lines: string[] = []
  const { promise: listening, resolve } = Promise.withResolvers<void>()
  child.onLine((line) => {
    lines.push(line)
    if (line.includes('listening')) resolve()
  })
  const ended = child.exited.then(() => Promise.reject(new Error(`npm start ended:\n${lines.join('\n')}`)))
  await Promise.race([listening, ended])
  ended.catch(() => undefined)
  return { child, lines }
}

/** All that npm has started: they share its process group. */
function killGroup({ pid }: GuardedChild): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // None is left.
  }
}

test('every script installs first', () => {
  const { scripts } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
    readonly scripts: Readonly<Record<string, string>>
  }
  const setup = 'node .ci/setup.mjs'
  const installsFirst = (name: string): boolean => {
    const inner = /^npm run --silent (\S+)/.exec(scripts[name] ?? '')?.[1]
    const isOwn = [scripts[name], scripts[`pre${name}`]].some((script) => script?.startsWith(setup))
    return isOwn || (inner !== undefined && installsFirst(inner))
  }
  expect(Object.keys(scripts).filter((name) => !installsFirst(name))).toEqual([])
})

possible('a fresh clone', () => {
  withoutNetwork('without a network', () => {
    test(
      'says at once what could not be fetched, and from where',
      async () => {
        const { code, text } = await run('unshare', ['-n', 'npm', 'start'], {
          HOME: emptyHome,
          npm_config_registry: 'http://user:canary@registry.invalid/',
        })
        expect(code).toBe(1)
        expect(text).toMatch(/^setup: installing/m)
        expect(text).toMatch(
          /^setup: pnpm@\S+, .* cannot be fetched from http:\/\/registry\.invalid\/ \(EAI_AGAIN\)\.$/m,
        )
        expect(text).toMatch(/^setup: Is this machine online\?/m)
        expect(text).not.toContain('canary')
        expect(text).not.toMatch(/^ +at /m)
      },
      stopTimeoutMs * 2,
    )
  })

  test.each([
    ['install', 'type-npm-start-instead'],
    ['ci', 'Run an install'],
  ])('npm %s, typed by habit, says what to type and leaves nothing behind', async (command, hint) => {
    const { code, text } = await run('npm', [command])
    expect([code, text]).toEqual([1, expect.stringContaining(hint)])
    const { stdout } = await execute('git', ['-C', clone, 'status', '--porcelain', '--ignored'])
    expect(stdout).toBe('')
  })

  asRoot('that belongs to a user', () => {
    test('is not installed with sudo, which would make it unusable for them', async () => {
      await execute('chown', ['1000', clone])
      const { code, text } = await run('npm', ['run', 'edge'], { SUDO_UID: '1000' })
      await execute('chown', [String(process.getuid?.()), clone])
      expect(code).toBe(1)
      expect(text).toContain('run `npm run setup` once without sudo')
      expect(text).toContain('ip_unprivileged_port_start')
      expect(existsSync(join(clone, 'node_modules'))).toBe(false)
    })
  })

  test(
    'serves after npm start alone, says what it is doing, and SIGTERM to npm ends all of it',
    async () => {
      const port = likelyFreePort()
      const { child: npm, lines } = await npmStart(port)
      let hasEnded = false
      void npm.exited.then(() => (hasEnded = true))
      try {
        expect(lines.find((line) => line.startsWith('setup: '))).toContain('installing the dependencies')
        expect(lines.join('\n')).toMatch(/^setup: installed in \d+ s$/m)
        expect(lines.join('\n')).not.toContain('Unsupported engine')
        const response = await fetch(`http://127.0.0.1:${port}/8.8.8.8`)
        expect(response.status).toBe(200)
        expect(await response.text()).toContain('"country": "US"')
        npm.kill('SIGTERM')
        // Settles when no process holds npm's output any more, so a replica that outlives npm fails this.
        await until(() => hasEnded, stopTimeoutMs)
        expect(await isPortFree(port)).toBe(true)
      } finally {
        killGroup(npm)
        await npm.exited
      }
    },
    installTimeoutMs + stopTimeoutMs,
  )

  withoutNetwork('again, without a network', () => {
    test('starts without installing and without waiting for it', async () => {
      const startedMs = performance.now()
      const { child, lines } = await npmStart(likelyFreePort(), ['unshare', '-n', 'npm', 'start'])
      const tookMs = performance.now() - startedMs
      killGroup(child)
      await child.exited
      expect(lines.join('\n')).not.toContain('setup:')
      // Three seconds on a machine that does nothing else; the registry's time-out is a minute.
      expect(tookMs).toBeLessThan(45_000)
    })
  })
})
