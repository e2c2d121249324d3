import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compileCache } from '@ipfleet/testing/compile-cache.ts'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { settingsSchema } from '../src/settings.ts'

const program = fileURLToPath(new URL('./options-program.ts', import.meta.url))
const hash = 'scrypt$N=2,r=1,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2g'

/** An empty directory, so that no `.env` is read unless a test puts it there. */
let cwd = ''
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'egress-'))
})
afterEach(() => rmSync(cwd, { recursive: true }))

function run(args: readonly string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    cwd,
    env: { ...compileCache, ...env },
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

test('--help lists every setting and the form of the users file, at most 96 columns wide', () => {
  const { status, stdout, stderr } = run(['--help'])
  expect([status, stderr]).toEqual([0, ''])
  for (const name of Object.keys(settingsSchema)) expect(stdout).toMatch(new RegExp(`^  ${name} +\\S`, 'm'))
  expect(stdout).toContain('A line of USERS_FILE is name:hash')
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(96)
})

test('the users file is found from the working directory, and may be named in .env', () => {
  writeFileSync(join(cwd, 'users'), `alice:${hash}\n`)
  writeFileSync(join(cwd, '.env'), 'USERS_FILE=users\n')
  const { status, stdout } = run([])
  expect([status, JSON.parse(stdout)]).toMatchObject([0, { users: ['alice'], settings: { USERS_FILE: 'users' } }])
})

test('--check says that all is valid', () => {
  writeFileSync(join(cwd, 'users'), `alice:${hash} burst=20 allow=.example.com\n`)
  expect(run(['--check'], { USERS_FILE: 'users', IP_POOL: '127.0.0.2,127.0.0.3' })).toEqual({
    status: 0,
    stdout: 'egress: settings are valid\n',
    stderr: '',
  })
})

test('all faults are told at once, and none tells a secret', () => {
  writeFileSync(join(cwd, 'users'), `alice:${hash}\nbob:canary\n`)
  const env = { USERS_FILE: 'users', PROXY_PASS: 'canary', RATE_LIMIT_BURST: '-1', IP_POOL: '::' }
  const { status, stdout, stderr } = run(['--check'], env)
  expect([status, stdout]).toEqual([2, ''])
  expect(stderr).not.toContain('canary')
  expect(stderr.split('\n')).toEqual([
    'egress: cannot start, 4 faults',
    '  RATE_LIMIT_BURST: got "-1" from the environment; allowed: a whole number from 0 to 1000000',
    expect.stringMatching(/^ {2}IP_POOL: "::" is unspecified/),
    '  PROXY_PASS: needs PROXY_USER',
    expect.stringMatching(/^ {2}USERS_FILE: .*users line 2: there is no hash behind the name/),
    'Usage: egress [--help | --version | --check]',
    '',
  ])
})

test('a users file that is not there is a fault', () => {
  expect(run([], { USERS_FILE: 'none' })).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/USERS_FILE: .*none cannot be read \(ENOENT\)/),
  })
})
