import { loadSettings } from '@ipfleet/settings/load-settings.ts'
import { describe, expect, test } from '@jest/globals'
import { tracesUrlOf, traceSettings } from './trace-settings.ts'

const load = (env: Readonly<Record<string, string>>) =>
  loadSettings(traceSettings, { program: 'p', summary: 's', argv: [], env })

function settingsOf(env: Readonly<Record<string, string>>) {
  const loaded = load(env)
  if (loaded.kind !== 'settings') throw new Error('not accepted')
  expect(loaded.warnings).toEqual([])
  return loaded.settings
}

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318/' }
const url = 'http://collector:4318/v1/traces'

describe('where traces go', () => {
  test.each([
    [{}, undefined],
    [endpoint, url],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://a.test/otlp' }, 'https://a.test/otlp/v1/traces'],
    [{ ...endpoint, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://other:1/t' }, 'http://other:1/t'],
    [{ OTEL_TRACES_EXPORTER: 'otlp' }, 'http://localhost:4318/v1/traces'],
    [{ ...endpoint, OTEL_TRACES_EXPORTER: 'none' }, undefined],
    [{ ...endpoint, OTEL_SDK_DISABLED: 'true' }, undefined],
    [{ ...endpoint, OTEL_SDK_DISABLED: 'false' }, url],
  ])('%j', (env, to) => {
    expect(tracesUrlOf(settingsOf(env))).toBe(to)
  })
})

test.each([
  { OTEL_TRACES_SAMPLER: 'sometimes' },
  { OTEL_TRACES_SAMPLER_ARG: '2' },
  { OTEL_TRACES_EXPORTER: 'zipkin' },
  { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317' },
  { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://user:canary@collector:4318' },
  { OTEL_EXPORTER_OTLP_HEADERS: 'canary' },
  { OTEL_RESOURCE_ATTRIBUTES: 'a=%zz' },
])('%j is refused, without showing what may be a secret', (env) => {
  const loaded = load(env)
  expect(loaded.kind).toBe('faults')
  expect(JSON.stringify(loaded)).not.toContain('canary')
})

test('pairs are percent-decoded', () => {
  const env = { OTEL_RESOURCE_ATTRIBUTES: 'a=b%2Cc , d=e=f', OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20x' }
  const { OTEL_RESOURCE_ATTRIBUTES: attributes, OTEL_EXPORTER_OTLP_HEADERS: headers } = settingsOf(env)
  expect([...(attributes ?? [])]).toEqual([
    ['a', 'b,c'],
    ['d', 'e=f'],
  ])
  expect([...(headers ?? [])]).toEqual([['authorization', 'Bearer x']])
})

test('what other programs read of the environment is no mistyped setting', () => {
  const others = [
    'PROTOCOL',
    'TIMEOUT',
    'COMPRESSION',
    'CERTIFICATE',
    'METRICS_ENDPOINT',
    'LOGS_ENDPOINT',
    'TRACES_HEADERS',
  ]
  const env = Object.fromEntries(others.map((name) => [`OTEL_EXPORTER_OTLP_${name}`, 'x']))
  settingsOf({ ...env, OTEL_LOGS_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none', OTEL_PROPAGATORS: 'tracecontext' })
})
