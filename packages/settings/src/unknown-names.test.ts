import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { integer, secret, secretList, text } from './kinds.ts'
import { url } from './url-setting.ts'
import { readDotEnv } from './sources.ts'
import { unknownNames } from './unknown-names.ts'

const schema = {
  PORT: integer({ default: 1, min: 0, max: 65_535, help: 'p' }),
  REDIS_URL: url({ protocols: ['redis:'], optional: true, help: 'r' }),
  REDIS_CA: text({ optional: true, help: 'a' }),
  REDIS_TIMEOUT_MS: integer({ default: 1, min: 0, help: 't' }),
  CONNECT_PORTS: integer({ default: 1, min: 0, help: 'l' }),
  CACHE_MAX_ENTRIES: integer({ default: 1, min: 0, help: 'c' }),
  IPINFO_KEYS: secretList({ optional: true, help: 'k' }),
  PROXY_PASS: secret({ optional: true, help: 's' }),
}

let cwd = ''
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'settings-'))
})
afterEach(() => rmSync(cwd, { recursive: true }))

const toldOf = (env: Record<string, string>) => unknownNames({ env, dotEnv: readDotEnv(cwd), cwd }, schema)

test.each([
  ['REDIS_UR', 'REDIS_URL'],
  ['REDIS_URI', 'REDIS_URL'],
  ['REDIS_HOST', 'REDIS_URL'],
  ['redis_url', 'REDIS_URL'],
  ['REDIS_SENTINELS', 'REDIS_URL'],
  ['REDIS_CLUSTER', 'REDIS_URL'],
  ['REDIS_TLS_CA', 'REDIS_CA'],
  ['REDIS_CA_FILE', 'REDIS_CA'],
  ['REDIS_SSL_CA_CERTS', 'REDIS_CA'],
  ['PROT', 'PORT'],
  ['CACHE_MAX_ENTRYS', 'CACHE_MAX_ENTRIES'],
  ['IPINFO_KEY', 'IPINFO_KEYS'],
  ['IPINFO_KEY_FILE', 'IPINFO_KEYS_FILE'],
  ['IPINFO_TOKEN', 'IPINFO_KEYS'],
  ['IPINFO_API_KEY', 'IPINFO_KEYS'],
  ['IPINFO_API_TOKEN', 'IPINFO_KEYS'],
  ['IPINFO_ACCESS_TOKEN', 'IPINFO_KEYS'],
  ['IPINFOIO_TOKEN', 'IPINFO_KEYS'],
  ['IPINFO_TOKEN_FILE', 'IPINFO_KEYS_FILE'],
  ['KEYS', 'IPINFO_KEYS'],
  ['API_KEYS_FILE', 'IPINFO_KEYS_FILE'],
  ['PROXY_PASSWORD', 'PROXY_PASS'],
  ['PROXY_PASSWORD_FILE', 'PROXY_PASS_FILE'],
])('%s in the environment probably means %s', (given, meant) => {
  expect(toldOf({ [given]: 'canary' })).toEqual([`environment: ${given} is not a setting; did you mean ${meant}?`])
})

test('a file that a setting is not read from is told', () => {
  expect(toldOf({ PORT_FILE: '/run/secrets/port' })).toEqual([
    'environment: PORT_FILE is not a setting; PORT is not read from a file',
  ])
})

test('a name that begins as settings do is told with those that there are', () => {
  expect(toldOf({ REDIS_PASSWORD: 'canary' })).toEqual([
    'environment: REDIS_PASSWORD is not a setting; those that begin so are REDIS_URL, REDIS_CA, REDIS_TIMEOUT_MS',
  ])
})

test.each([
  ['REDIS_SERVICE_HOST'],
  ['REDIS_SERVICE_PORT'],
  ['REDIS_SERVICE_PORT_MAIN'],
  ['REDIS_PORT'],
  ['REDIS_PORT_6379_TCP'],
  ['REDIS_PORT_6379_TCP_ADDR'],
  ['REDIS_ENV_REDIS_VERSION'],
  ['CACHE_PORT'],
  ['IPINFO_SERVICE_HOST'],
  ['PATH'],
  ['HOME'],
  ['HOSTNAME'],
  ['LOG_DIR'],
  ['BULK_MAX_RPS'],
  ['REDIS_MAXMEMORY'],
  ['REDIS_CACHE_URL_FILE'],
  ['REDIS_CACHE_CA'],
])('%s is what others put there', (name) => {
  expect(toldOf({ [name]: 'x' })).toEqual([])
})

test('what is empty, or has the setting that it seems to mean beside it, is nothing to tell', () => {
  expect(toldOf({ REDIS_UR: ' ', IPINFO_TOKEN: 'x', IPINFO_KEYS: 'y' })).toEqual([])
})

test('.env is told line by line', () => {
  writeFileSync(join(cwd, '.env'), 'IPINFO_TOKEN=canary\n\nPROT=1\nCOMPOSE_PROFILES=demo\n')
  expect(toldOf({})).toEqual([
    '.env line 1: IPINFO_TOKEN is not a setting; did you mean IPINFO_KEYS?',
    '.env line 3: PROT is not a setting; did you mean PORT?',
  ])
})

test('what orchestrators put into the environment is a slip in .env', () => {
  writeFileSync(join(cwd, '.env'), 'CONNECT_PORT=443\nREDIS_PORT=6379\n')
  expect(toldOf({ CONNECT_PORT: '443', REDIS_PORT: 'tcp://192.0.2.1:6379' })).toEqual([
    '.env line 1: CONNECT_PORT is not a setting; did you mean CONNECT_PORTS?',
    '.env line 2: REDIS_PORT is not a setting; those that begin so are REDIS_URL, REDIS_CA, REDIS_TIMEOUT_MS',
  ])
})
