import { readFileSync, writeFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { expect, test } from '@jest/globals'
import { cases, chart, readSettingNames, readYaml, services } from '../src/kubernetes-chart.ts'

const schemaUrl = new URL('values.schema.json', chart)
const schema = JSON.parse(readFileSync(schemaUrl, 'utf8')) as { definitions: Record<string, object> }
const { version } = JSON.parse(readFileSync(new URL('../../package.json', chart), 'utf8')) as { version: string }

/** What the chart itself decides on, since it is how the Pods find each other and their files. */
const wired = new Set([
  'PORT',
  'HOST',
  'LISTEN_ADDR',
  'METRICS_ADDR',
  'LOOKUP_URL',
  'TLS_LISTEN_ADDR',
  'TLS_CERT',
  'TLS_KEY',
])
const isWired = (name: string): boolean =>
  wired.has(name) || /^REDIS_(?:CACHE_)?URL$|^REDIS_(?:CA|CERT|KEY)$/.test(name)

const named = (names: readonly string[], value: object) => ({
  type: 'object',
  propertyNames: { enum: names.toSorted() },
  additionalProperties: value,
})

/** Which names may stand in `settings` and `secrets` of each service, and in `defaults.settings`. */
function wantedDefinitions(): Record<string, object> {
  const texts = { type: 'string', minLength: 1 }
  const known = services.map((service) => ({ service, ...readSettingNames(service) }))
  const settings = known.map(({ service, all, secrets }) => {
    const names = [...all].filter((name) => !isWired(name) && !name.endsWith('_FILE') && !secrets.includes(name))
    return { service, names }
  })
  const shared = settings[0]?.names.filter((name) => settings.every(({ names }) => names.includes(name))) ?? []
  const lists = [...settings, { service: 'defaults', names: shared }]
  return Object.fromEntries([
    ...lists.map(({ service, names }) => [`${service}Settings`, named(names, { $ref: '#/definitions/setting' })]),
    ...known.map(({ service, secrets }) => [`${service}Secrets`, named(secrets, texts)]),
  ]) as Record<string, object>
}

test('the schema of the values knows the settings and secrets of each service (UPDATE_README=1 npm test -- readme.test writes it)', () => {
  const wanted = wantedDefinitions()
  if (process.env['UPDATE_README'] !== undefined) {
    Object.assign(schema.definitions, wanted)
    writeFileSync(schemaUrl, `${JSON.stringify(schema, undefined, 2)}\n`)
  }
  expect(schema.definitions).toMatchObject(wanted)
})

const validate = new Ajv({ allowUnionTypes: true }).compile(schema)

test.each(cases)('the schema takes the values of the case %s', (name) => {
  validate(readYaml(new URL(`ci/${name}-values.yaml`, chart)) ?? {})
  expect(validate.errors).toBeNull()
})

test('the schema takes the defaults of the chart', () => {
  validate(readYaml(new URL('values.yaml', chart)))
  expect(validate.errors).toBeNull()
})

test.each([
  ['a setting that is misspelt', { lookup: { settings: { CACHE_MAX_ENTRYS: 5 } } }, 'CACHE_MAX_ENTRYS'],
  ['a setting of another service', { edge: { settings: { CACHE_MAX_ENTRIES: 5 } } }, 'CACHE_MAX_ENTRIES'],
  ['a setting for all that one does not have', { defaults: { settings: { BULK_MAX_RPS: 5 } } }, 'BULK_MAX_RPS'],
  ['a secret among the settings', { lookup: { settings: { IPINFO_KEYS: 'a-key' } } }, 'IPINFO_KEYS'],
  ['a password among the settings', { defaults: { settings: { REDIS_PASSWORD: 'secret' } } }, 'REDIS_PASSWORD'],
  ['what the chart wires', { bulk: { settings: { LOOKUP_URL: 'http://x' } } }, 'LOOKUP_URL'],
  ['a secret that the service does not read', { lookup: { secrets: { WEBHOOK_SECRET: 'x' } } }, 'WEBHOOK_SECRET'],
  ['a value that there is not', { lookup: { replicaCount: 5 } }, 'replicaCount'],
  ['a number as text', { lookup: { replicas: '5' } }, '/lookup/replicas'],
  ['a pool with a password', { egress: { pools: [{ name: 'a', addresses: ['http://u:p@host'] }] } }, '/addresses/0'],
  ['a pool without addresses', { egress: { pools: [{ name: 'a' }] } }, 'addresses'],
])('the schema refuses %s', (_, values, name) => {
  expect(validate(values)).toBe(false)
  expect(JSON.stringify(validate.errors)).toContain(name)
})

test('the chart has the version of the program', () => {
  expect(readYaml(new URL('Chart.yaml', chart))).toMatchObject({ version, appVersion: version })
})

test('every part of the values says what it is', () => {
  const lines = readFileSync(new URL('values.yaml', chart), 'utf8').split('\n')
  const bare = lines.filter((line, index) => /^\w+:/.test(line) && !lines[index - 1]?.startsWith('#'))
  expect(bare).toEqual([])
})
