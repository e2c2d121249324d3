import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { compileCache } from '@ipfleet/testing/compile-cache.ts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { describeTable } from '@ipfleet/settings/toml-schema.ts'
import { configTables } from '../src/config/config-schema.ts'
import { certificateFault } from '@ipfleet/http-server/certificate.ts'
import { settingsSchema } from '../src/settings.ts'
import { type TestCertificate, testCertificate } from './test-certificate.ts'

const program = fileURLToPath(new URL('./options-program.ts', import.meta.url))

/** An empty directory, so that neither `.env` nor `config/proxy.toml` is read unless a test puts it there. */
let cwd = ''
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'edge-'))
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

/** What it starts with. */
function optionsOf(args: readonly string[], env: Record<string, string> = {}): unknown {
  const { status, stdout, stderr } = run(args, env)
  expect([status, stderr]).toEqual([0, ''])
  return JSON.parse(stdout.split('\n')[0] ?? '')
}

test('--help lists every setting and every key of the file with its default, at most 96 columns wide', () => {
  const { status, stdout, stderr } = run(['--help'])
  expect([status, stderr]).toEqual([0, ''])
  expect(stdout).toContain('Usage: edge [--config FILE] [--help | --version | --check]')
  for (const name of Object.keys(settingsSchema)) expect(stdout).toMatch(new RegExp(`^  ${name} +\\S`, 'm'))
  for (const { title, table } of configTables) {
    expect(stdout).toContain(`\n${title}`)
    for (const { name, default: written } of describeTable(title, table)) {
      expect(stdout).toMatch(new RegExp(`^  ${name} +\\S`, 'm'))
      // A long one goes on in the next line.
      expect(stdout.replaceAll(/\s+/g, ' ')).toContain(written)
    }
  }
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(96)
})

test('with nothing set, it stands in front of a replica on this machine', () => {
  expect(optionsOf([])).toMatchObject({
    settings: { REDIS_TIMEOUT_MS: 100, DRAIN_MS: 2000, LOG_FORMAT: 'text' },
    config: { server: { port: 8090 }, groups: { default: { backends: [{ hostname: '127.0.0.1', port: 8080 }] } } },
  })
})

test('the file is the one of --config, which may refer to .env too', () => {
  writeFileSync(join(cwd, 'edge.toml'), '[server]\nworkers = "${WORKERS}"\nlisten = "${ADDRESS}:81"\n')
  writeFileSync(join(cwd, '.env'), 'WORKERS=2\nADDRESS=127.0.0.2\n')
  expect(optionsOf(['--config', 'edge.toml'], { WORKERS: '3', ADDRESS: '' })).toMatchObject({
    config: { server: { workers: 3, host: '127.0.0.2', port: 81 } },
    file: join(cwd, 'edge.toml'),
  })
})

test('--check says that all is valid', () => {
  writeFileSync(join(cwd, 'edge.toml'), '[server]\nworkers = 2\n')
  expect(run(['--check', '--config=edge.toml'], { REDIS_URL: 'redis://127.0.0.1:1' })).toEqual({
    status: 0,
    stdout: 'edge: settings are valid\n',
    stderr: '',
  })
})

test.each([[['--check']], [[]]])('faults of environment and file are told at once, with exit code 2: %j', (args) => {
  mkdirSync(join(cwd, 'config'))
  writeFileSync(join(cwd, 'config/proxy.toml'), '[server]\nworkers = 0\n\n[rate_limits]\nmax_requests = "${LIMIT}"\n')
  const env = { REDIS_URL: 'http://user:canary@host', RUST_LOG: 'loud', LIMIT: 'canary' }
  const { status, stdout, stderr } = run(args, env)
  expect([status, stdout]).toEqual([2, ''])
  expect(stderr.split('\n')).toEqual([
    'edge: cannot start, 4 faults',
    '  REDIS_URL: got "***@host" from the environment (in a user or password, / is written %2F, ? %3F, # %23, @ %40 and % %25); allowed: a URL that starts with redis://, rediss://, unix:, redis+sentinel://, rediss+sentinel://, redis+cluster:// or rediss+cluster://',
    '  RUST_LOG: got "loud" from the environment; allowed: trace or debug or info or warn or error or off',
    '  config/proxy.toml line 2: server.workers: got 0; allowed: a whole number from 1 to 256',
    '  config/proxy.toml line 4: rate_limits: is not known; did you mean rate_limit?',
    'Usage: edge [--config FILE] [--help | --version | --check]',
    '',
  ])
})

test('a file that was named and is not there is a fault', () => {
  expect(run(['--config', 'none.toml'])).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('none.toml: cannot be read (ENOENT)'),
  })
})

test('reading again takes what the file then says, or tells what is wrong with it', async () => {
  const file = join(cwd, 'edge.toml')
  for (const [toml, again] of [
    ['[server]\nworkers = 2\n', { kind: 'config', config: { server: { workers: 2 } } }],
    ['[server]\nworkers = -2\n', { kind: 'faults', text: expect.stringMatching(/^edge\.toml line 2: .*\n$/) }],
  ] as const) {
    writeFileSync(file, '')
    const child = spawn(process.execPath, [program, '--config', 'edge.toml'], {
      cwd,
      env: compileCache,
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    expect(JSON.parse(String((await lines.next()).value))).toMatchObject({ config: { server: { workers: 1 } } })
    writeFileSync(file, toml)
    child.stdin.end()
    expect(JSON.parse(String((await lines.next()).value))).toMatchObject(again)
  }
})

describe('[tls] is looked at before anything is served:', () => {
  let good: TestCertificate
  let other: TestCertificate
  beforeAll(async () => {
    good = await testCertificate()
    other = await testCertificate()
  })
  afterAll(async () => {
    await good[Symbol.asyncDispose]()
    await other[Symbol.asyncDispose]()
  })

  test.each([
    ['a key of another', () => [good.certFile, other.keyFile], /they do not belong together/],
    ['no certificate', () => [good.keyFile, good.keyFile], /are no certificate and key/],
  ] as const)('%s', (_what, files, expected) => {
    const [cert = '', key = ''] = files()
    writeFileSync(join(cwd, 'edge.toml'), `[tls]\ncert = "${cert}"\nkey = "${key}"\n`)
    const { status, stderr } = run(['--check', '--config', 'edge.toml'])
    expect([status, stderr]).toEqual([2, expect.stringMatching(expected)])
    expect(stderr).toContain('  tls: ')
  })

  test('a certificate that has expired is told, with its date', () => {
    const { certFile: cert, keyFile: key } = good
    const tls = { cert, key, minVersion: 'TLSv1.2', http2: true } as const
    const inAWeekMs = Date.now() + 7 * 86_400_000
    expect(certificateFault(tls, { validAtMs: inAWeekMs })).toMatch(/cert\.pem has expired \(.* GMT\)$/)
    expect(certificateFault(tls, { validAtMs: Date.now() })).toBeUndefined()
    expect(certificateFault(tls)).toBeUndefined()
  })
})
