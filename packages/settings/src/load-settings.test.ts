import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { choice, cidrList, flag, integer, seconds, secret, secretList } from './kinds.ts'
import { url } from './url-setting.ts'
import { type Further, loadSettings } from './load-settings.ts'

const schema = {
  PORT: integer({ default: 8080, min: 0, max: 65_535, help: 'TCP port to listen on' }),
  LOG_FORMAT: choice(['text', 'json'], { default: 'text', help: 'Form of the log' }),
  REDACT_KEYS: flag({ default: true, help: 'Hide keys' }),
  COOLDOWN_SECONDS: seconds({ default: 60, min: 1, help: 'Length of a bench' }),
  IPINFO_KEYS: secretList({ optional: true, help: 'API keys' }),
  ADMIN_TOKEN: secret({ optional: true, help: 'Token of the operator' }),
  TRUST_PROXY: cidrList({ default: [], help: 'Trusted proxies' }),
  REDIS_URL: url({ protocols: ['redis:', 'rediss:'], optional: true, help: 'Redis' }),
}

let cwd = ''
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'settings-'))
})
afterEach(() => rmSync(cwd, { recursive: true }))

const program = (env: Record<string, string> = {}, argv: readonly string[] = []) =>
  ({ program: 'lookup', summary: 'A replica.', env, argv, cwd }) as const

function settingsFrom(env: Record<string, string> = {}) {
  const loaded = loadSettings(schema, program(env))
  if (loaded.kind !== 'settings') throw new Error(`expected settings, got ${JSON.stringify(loaded)}`)
  return loaded
}

function faultsFrom(env: Record<string, string>, argv: readonly string[] = []) {
  const loaded = loadSettings(schema, program(env, argv))
  if (loaded.kind !== 'faults') throw new Error(`expected faults, got ${loaded.kind}`)
  return loaded
}

const messageFor = (file: string) => faultsFrom({ ADMIN_TOKEN_FILE: file }).faults.map(({ message }) => message)

test('with nothing set, every setting has its default', () => {
  expect(settingsFrom().settings).toEqual({
    PORT: 8080,
    LOG_FORMAT: 'text',
    REDACT_KEYS: true,
    COOLDOWN_SECONDS: 60,
    IPINFO_KEYS: [],
    ADMIN_TOKEN: undefined,
    TRUST_PROXY: [],
    REDIS_URL: undefined,
  })
})

test('types follow from the schema: no cast is needed where a setting is used', () => {
  const { settings } = settingsFrom({ PORT: '81', LOG_FORMAT: 'json', ADMIN_TOKEN: 'abc', IPINFO_KEYS: 'a,b' })
  const typed: { port: number; format: 'text' | 'json'; token: string | undefined; keys: readonly string[] } = {
    port: settings.PORT,
    format: settings.LOG_FORMAT,
    token: settings.ADMIN_TOKEN,
    keys: settings.IPINFO_KEYS,
  }
  expect(typed).toEqual({ port: 81, format: 'json', token: 'abc', keys: ['a', 'b'] })
})

test('the settings cannot be changed, nor can the lists in them', () => {
  const { settings } = settingsFrom({ IPINFO_KEYS: 'a,b' })
  expect(Object.isFrozen(settings)).toBe(true)
  expect(() => Reflect.apply(Array.prototype.push, settings.IPINFO_KEYS, ['c'])).toThrow(TypeError)
})

test('the environment wins over .env, and an empty variable counts as not set', () => {
  writeFileSync(join(cwd, '.env'), 'PORT=1\nCOOLDOWN_SECONDS=2\nLOG_FORMAT=\n')
  const { settings } = settingsFrom({ PORT: '3', COOLDOWN_SECONDS: ' ' })
  expect([settings.PORT, settings.COOLDOWN_SECONDS, settings.LOG_FORMAT]).toEqual([3, 2, 'text'])
})

test('.env may begin with a byte order mark, end lines as Windows does, quote and comment', () => {
  writeFileSync(join(cwd, '.env'), '\uFEFFPORT=1\r\n# note\r\n\r\nexport LOG_FORMAT="json" # why\r\n')
  const { settings } = settingsFrom()
  expect([settings.PORT, settings.LOG_FORMAT]).toEqual([1, 'json'])
})

test('every fault is reported at once, each with name, given value, origin and what is allowed', () => {
  writeFileSync(join(cwd, '.env'), '# settings\n\nCOOLDOWN_SECONDS=0\n')
  const { faults, text } = faultsFrom({ PORT: '70000', LOG_FORMAT: 'xml', TRUST_PROXY: '10.0.0.0/33, ::1, x' })
  expect(Object.fromEntries(faults.map(({ name, message }) => [name, message]))).toEqual({
    PORT: 'got "70000" from the environment; allowed: a whole number from 0 to 65535',
    LOG_FORMAT: 'got "xml" from the environment; allowed: text or json',
    COOLDOWN_SECONDS: 'got "0" from .env line 3; allowed: seconds from 1 to 31536000',
    TRUST_PROXY: expect.stringContaining('"10.0.0.0/33" is not valid, "x" is not valid'),
  })
  for (const { name, message } of faults) expect(text).toContain(`${name}: ${message}`)
})

test('a required setting that is not set is a fault', () => {
  const loaded = loadSettings({ NAME: secret({ help: 'x' }) }, program())
  expect(loaded).toMatchObject({
    kind: 'faults',
    faults: [{ name: 'NAME', message: expect.stringContaining('is required and not set') }],
  })
})

test('a secret that is refused is not shown, in whatever way it came', () => {
  writeFileSync(join(cwd, 'keys'), 'good-canary\nbad canary\n')
  writeFileSync(join(cwd, '.env'), 'IPINFO_KEYS_FILE=keys\n')
  const { text } = faultsFrom({ ADMIN_TOKEN: 'canary with spaces', REDIS_URL: 'http://u:canary@host' }, [
    '--key=canary',
  ])
  expect(text).toContain('IPINFO_KEYS: got a value (not shown) from the file keys (item 2 of 2 is not valid)')
  expect(text).toContain('REDIS_URL: got "***@host"')
  expect(text).toContain('argument --key is not known')
  expect(text).not.toContain('canary')
})

test('secrets come from files too, one a line or separated by commas, trimmed and without repetitions', () => {
  writeFileSync(join(cwd, 'keys'), '\n a , b\r\nc\n\na\n')
  writeFileSync(join(cwd, 'token'), 'abc\n')
  const { settings } = settingsFrom({ IPINFO_KEYS_FILE: 'keys', ADMIN_TOKEN_FILE: join(cwd, 'token') })
  expect([settings.IPINFO_KEYS, settings.ADMIN_TOKEN]).toEqual([['a', 'b', 'c'], 'abc'])
})

test('a secret and its file together are a fault that names both places', () => {
  writeFileSync(join(cwd, 'token'), 'from-file\n')
  writeFileSync(join(cwd, '.env'), 'ADMIN_TOKEN_FILE=token\n')
  const { faults } = faultsFrom({ ADMIN_TOKEN: 'from-environment' })
  expect(faults).toEqual([
    {
      name: 'ADMIN_TOKEN',
      message: 'is set (the environment) and so is ADMIN_TOKEN_FILE (.env line 1); keep one of them',
    },
  ])
})

test('a secret file that is missing, a directory or empty is a fault that names it', () => {
  writeFileSync(join(cwd, 'empty'), ' \n')
  expect(messageFor('missing')).toEqual(['the file missing, named by the environment, cannot be read (ENOENT)'])
  expect(messageFor('.')).toEqual(['the file ., named by the environment, cannot be read (EISDIR)'])
  expect(messageFor('empty')).toEqual(['the file empty is empty'])
})

test('only secrets have a file form', () => {
  writeFileSync(join(cwd, 'port'), '81')
  expect(settingsFrom({ PORT_FILE: 'port' }).settings.PORT).toBe(8080)
})

test('a line of .env that is no assignment is a fault that gives its number and not its text', () => {
  writeFileSync(join(cwd, '.env'), 'IPINFO_KEYS="a\nb\n"\nPORT 81 canary\nLOG_FORMAT=json\n')
  const { faults, text } = faultsFrom({})
  expect(faults).toEqual([{ name: '.env', message: 'line 4 is not of the form NAME=value' }])
  expect(text).not.toContain('canary')
})

test('an .env that cannot be read is a fault', () => {
  mkdirSync(join(cwd, '.env'))
  expect(faultsFrom({}).faults).toEqual([{ name: '.env', message: 'cannot be read (EISDIR)' }])
})

test('a name in .env that is nearly a setting is a warning; other names are left to others', () => {
  writeFileSync(join(cwd, '.env'), 'OTHER_PROGRAM=1\nCOLDOWN_SECONDS=5\nPATH=x\nADMIN_TOKEN_FILES=x\n')
  expect(settingsFrom().warnings).toEqual([
    '.env line 2: COLDOWN_SECONDS is not a setting; did you mean COOLDOWN_SECONDS?',
    '.env line 4: ADMIN_TOKEN_FILES is not a setting; did you mean ADMIN_TOKEN_FILE?',
  ])
})

test('--check says that the settings are valid, or lists the faults', () => {
  expect(loadSettings(schema, program({}, ['--check']))).toMatchObject({
    kind: 'check',
    text: 'lookup: settings are valid\n',
  })
  expect(loadSettings(schema, program({ PORT: 'x' }, ['--check']))).toMatchObject({ kind: 'faults' })
})

test('--help is answered whatever the settings are', () => {
  const loaded = loadSettings(schema, program({ PORT: 'x' }, ['-h']))
  expect(loaded).toMatchObject({ kind: 'help', text: expect.stringContaining('TCP port to listen on') })
})

describe('what a program takes besides its settings', () => {
  const config = { name: 'config', value: 'FILE', help: 'the file' }
  const row = { name: 'depth', group: '[file]', default: '7', required: false, allowed: 'a number' }
  const further: Further<string> = {
    about: 'The file has keys.',
    rows: [{ ...row, help: 'How deep', secret: false, fileName: undefined }],
    read: ({ options, env }) =>
      options['config'] === 'bad'
        ? { kind: 'faults', faults: [{ name: 'bad line 1', message: 'is wrong' }] }
        : { kind: 'value', value: `${options['config']} with ${env['NAME']}` },
  }
  const loadWith = (argv: readonly string[], env: Record<string, string> = {}) =>
    loadSettings(schema, { ...program(env, argv), options: [config], further })

  test.each([[['--config', 'a']], [['--config=a']]])('an option has a value: %j', (argv) => {
    expect(loadWith(argv)).toMatchObject({ kind: 'settings', options: { config: 'a' }, settings: { PORT: 8080 } })
  })

  test('more is read with the options and the environment, completed by .env', () => {
    writeFileSync(join(cwd, '.env'), 'NAME=from .env\n')
    expect(loadWith(['--config', 'a'])).toMatchObject({ further: 'a with from .env' })
    expect(loadWith(['--config', 'a'], { NAME: '' })).toMatchObject({ further: 'a with from .env' })
    expect(loadWith([], { NAME: 'x' })).toMatchObject({ further: 'undefined with x' })
  })

  test('its faults are told with those of the settings, and --check checks both', () => {
    const faults = [{ name: 'PORT' }, { name: 'bad line 1' }]
    expect(loadWith(['--config', 'bad'], { PORT: 'x' })).toMatchObject({ kind: 'faults', faults })
    expect(loadWith(['--check', '--config', 'bad'])).toMatchObject({ kind: 'faults', faults: faults.slice(1) })
    expect(loadWith(['--config', 'a', '--check'])).toMatchObject({ kind: 'check' })
  })

  test.each([
    [['--config'], 'argument --config needs a value: --config FILE'],
    [['--config='], 'argument --config needs a value: --config FILE'],
    [['--config', '--check'], 'argument --config needs a value: --config FILE'],
    [['--config', 'bad', '--config=b'], 'argument --config is there twice'],
    [['--config', 'bad', '--confg'], 'argument --confg is not known; did you mean --config?'],
    [['--chek'], 'argument --chek is not known; did you mean --check?'],
    [['--port', '8081'], 'argument --port is not known; PORT is a setting, for the environment or .env'],
    [['-v'], 'argument -v is not known'],
  ])('%j is a fault of the command line, and nothing is read', (argv, message) => {
    const loaded = loadWith(argv)
    expect(loaded).toMatchObject({ faults: [{ name: 'command line', message }] })
    expect(loaded).toMatchObject({
      text: expect.stringContaining('Usage: lookup [--config FILE] [--help | --version | --check]'),
    })
  })

  test('the help has the options and what else can be set', () => {
    const loaded = loadWith(['--help'])
    const text = loaded.kind === 'help' ? loaded.text : ''
    expect(text).toMatch(/^ {2}--config FILE +the file$/m)
    expect(text).toMatch(
      /The file has keys\.\n\n\[file\]:\n {2}depth +How deep\n +Allowed: a number\.\n +Default: 7\n$/,
    )
  })
})

const loadWithRule = (env: Record<string, string>) =>
  loadSettings(schema, {
    ...program(env),
    rules: [
      {
        about: ['REDIS_URL', 'PORT'],
        fault: ({ REDIS_URL, PORT }) => (REDIS_URL && PORT === 0 ? 'needs a fixed PORT' : undefined),
      },
    ],
  })

describe('what settings must keep to together', () => {
  test('is a fault like any other when it is broken', () => {
    const faults = [
      { name: 'LOG_FORMAT', message: expect.anything() },
      { name: 'REDIS_URL', message: 'needs a fixed PORT' },
    ]
    expect(loadWithRule({ LOG_FORMAT: 'x', REDIS_URL: 'redis://h', PORT: '0' })).toMatchObject({
      kind: 'faults',
      faults,
    })
    expect(loadWithRule({ REDIS_URL: 'redis://h' })).toMatchObject({ kind: 'settings' })
  })

  test('is not asked about settings that are faulty by themselves', () => {
    expect(loadWithRule({ REDIS_URL: 'redis://h', PORT: 'x' })).toMatchObject({ faults: [{ name: 'PORT' }] })
  })
})

test.each([['--chek'], ['--check=1'], ['stray'], ['--'], ['--toString']])('the argument %s is a fault', (argument) => {
  const { faults, text } = faultsFrom({}, [argument])
  expect(faults.map(({ name }) => name)).toEqual(['command line'])
  expect(text).toContain('Usage: lookup [--help | --version | --check]')
})

test('a value in quotes is refused with the reason, whatever it is, and never shown', () => {
  const env = { REDIS_URL: '"redis://:canary@h"' }
  const loaded = loadSettings(
    { REDIS_URL: url({ protocols: ['redis:'], help: '' }), KEYS: secretList({ help: '' }) },
    {
      program: 'p',
      summary: '',
      argv: ['--check'],
      env: { ...env, KEYS: "'canary1,canary2'" },
      cwd: '/',
    },
  )
  expect(loaded).toMatchObject({
    kind: 'faults',
    faults: ['REDIS_URL', 'KEYS'].map((name) => ({ name, message: expect.stringContaining('is in quotes') })),
  })
  expect(JSON.stringify(loaded)).not.toContain('canary')
})
