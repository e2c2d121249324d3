import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { loadSettings } from '@ipfleet/settings/load-settings.ts'
import { compileCache } from '@ipfleet/testing/compile-cache.ts'
import { lookupEntry } from '@ipfleet/testing/service-process.ts'
import { settingsRules, settingsSchema } from '../src/settings.ts'

/** The command line of a replica. An empty directory, so that no `.env` is read. */
let cwd = ''
beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), 'lookup-'))
})
afterAll(() => rmSync(cwd, { recursive: true }))

/** As its own process. */
function run(args: readonly string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [lookupEntry, ...args], {
    cwd,
    env: { ...compileCache, ...env },
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

/** What `--check` prints, by the code that the process runs. */
function check(env: Record<string, string> = {}) {
  const program = { program: 'lookup', summary: '', rules: settingsRules, argv: ['--check'], env, cwd }
  const loaded = loadSettings(settingsSchema, program)
  if (loaded.kind !== 'check' && loaded.kind !== 'faults') throw new Error(`It is ${loaded.kind}`)
  return { isValid: loaded.kind === 'check', text: loaded.text, warnings: loaded.warnings }
}

test('--help lists every setting with its default and meaning', () => {
  const { status, stdout, stderr } = run(['--help'])
  expect([status, stderr]).toEqual([0, ''])
  for (const name of Object.keys(settingsSchema)) expect(stdout).toMatch(new RegExp(`^  ${name} +\\S`, 'm'))
  const defaults =
    'PORT=8080 HOST=0.0.0.0 COOLDOWN_SECONDS=60 REQUEST_TIMEOUT_MS=5000 CACHE_TTL_SECONDS=300 CACHE_MAX_ENTRIES=10000 ' +
    'CACHE_MAX_BODY_BYTES=32768 LOG_LEVEL=info LOG_FORMAT=text IPINFO_BASE_URL=https://ipinfo.io REDACT_KEYS=true ' +
    'FAILURE_MODE=closed STALE_IF_ERROR_SECONDS=86400'
  for (const pair of defaults.split(' ')) {
    const [name = ''] = pair.split('=')
    expect(`${name}=${helpOf(stdout, name)}`).toBe(pair)
  }
  expect(stdout).toContain('IPINFO_KEYS_FILE')
  expect(stdout).toContain('ADMIN_TOKEN_FILE')
})

/** The default that the help states under a name. */
function helpOf(help: string, name: string): string | undefined {
  const [, entry = ''] = help.split(new RegExp(`^  ${name} `, 'm'))
  return /^\s*Default: (.*)$/m.exec(entry)?.[1]
}

test('--check validates and ends', () => {
  const valid = { isValid: true, text: 'lookup: settings are valid\n', warnings: [] }
  expect(check()).toEqual(valid)
  expect(check({ IPINFO_KEYS: 'a,b', REDIS_URL: 'redis://127.0.0.1:1' })).toEqual(valid)
})

test.each([
  ['one server', { REDIS_URL: 'redis://127.0.0.1:1' }],
  ['a second server for answers', { REDIS_URL: 'redis+cluster://a,b', REDIS_CACHE_URL: 'redis+sentinel://a/main' }],
])('--check refuses to read answers from replicas of %s', (_what, urls) => {
  const { isValid, text } = check({ ...urls, REDIS_READ_FROM: 'replicas' })
  expect(isValid).toBe(false)
  expect(text).toContain('REDIS_READ_FROM: replicas is for a Cluster: answers are in none')
})

const faulty: Record<string, string> = {
  PORT: '99999',
  LOG_LEVEL: 'loud',
  LOG_FORMAT: 'xml',
  IPINFO_BASE_URL: 'ftp://ipinfo.io',
  REDIS_URL: 'http://localhost',
  CACHE_MAX_ENTRIES: '0',
  TRUST_PROXY: '300.0.0.0/8',
  FAILURE_MODE: 'ajar',
  REDACT_KEYS: 'perhaps',
  ADMIN_TOKEN_FILE: 'no-such-file',
}

test.each([[['--check']], [[]]])(
  'all faults are told at once, with name and what is allowed, and exit code 2: %j',
  (args) => {
    const { status, stdout, stderr } = run(args, faulty)
    expect([status, stdout]).toEqual([2, ''])
    for (const name of Object.keys(faulty)) expect(stderr).toContain(name)
    for (const allowed of ['65535', 'trace or debug or info or warn', 'text', 'https:', 'redis:', 'closed']) {
      expect(stderr).toContain(allowed)
    }
    expect(stderr).toContain(`${Object.keys(faulty).length} faults`)
  },
)

test('a fault names a secret’s setting and not the secret', () => {
  const { isValid, text } = check({ IPINFO_KEYS: 'first-secret,,bad secret\u0001', PORT: 'x' })
  expect(isValid).toBe(false)
  expect(text).not.toContain('secret')
})

test.each([
  ['k1;k2', 'item 1 of 1: a key has no comma or semicolon in it'],
  ['k1,https://ipinfo.io/?token=canary', 'item 2 of 2: a key is no URL'],
  ['<your key>', 'item 1 of 1 is not valid'],
  ['${CANARY}', 'item 1 of 1: a key is written without quotes and brackets'],
  ['IPINFO_KEYS=canary', 'item 1 of 1: a key stands there by itself, without NAME='],
])('IPINFO_KEYS=%s is no list of keys', (given, says) => {
  const { isValid, text } = check({ IPINFO_KEYS: given })
  expect(isValid).toBe(false)
  expect(text).toContain(`IPINFO_KEYS: got a value (not shown) from the environment (${says})`)
  expect(text).not.toMatch(/canary/i)
})

test.each([
  ['KEYS_FILE', undefined, /keys-or-db cannot be read \(ENOENT\)/],
  ['KEYS_FILE', 'good-key\nbad key\n', /keys-or-db line 2: after the key come/],
  ['KEYS_FILE', '# none\n', /keys-or-db holds no keys/],
  ['KEYS_FILE', 'directory', /keys-or-db cannot be read \(EISDIR\)/],
  ['IPINFO_KEYS_FILE', 'directory', /keys-or-db, .*cannot be read \(EISDIR\)/],
  ['CLIENT_TOKENS_FILE', 'name=short\n', /CLIENT_TOKENS: got a value \(not shown\) from the file/],
  ['OFFLINE_DB', undefined, /keys-or-db cannot be read/],
  ['OFFLINE_DB', 'this is no MMDB', /keys-or-db/],
])('--check reads the file of %s (%j)', (name, content, expected) => {
  const file = join(cwd, 'keys-or-db')
  if (content === 'directory') mkdirSync(file)
  else if (content !== undefined) writeFileSync(file, content)
  const { isValid, text } = check({ [name]: file })
  rmSync(file, { recursive: true, force: true })
  expect(isValid).toBe(false)
  expect(text).toMatch(expected)
  expect(text).not.toMatch(/^ +at |bad key|short/m)
})

test.each([
  ['IPINFO_TOKEN', 'IPINFO_KEYS'],
  ['REDIS_UR', 'REDIS_URL'],
])('%s in the environment is one warning, and no fault', (given, meant) => {
  const env = { [given]: 'canary', REDIS_SERVICE_HOST: '10.0.0.1', REDIS_PORT: 'tcp://10.0.0.1:6379' }
  const warnings = [`environment: ${given} is not a setting; did you mean ${meant}?`]
  expect(check(env)).toMatchObject({ isValid: true, warnings })
})
