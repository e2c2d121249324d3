import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { parse } from 'yaml'
import { startFakeIpinfo } from '../src/fake-ipinfo.ts'
import { type ServiceProcess, startReplica, startService } from '../src/service-process.ts'
import { startTestRedis } from '../src/test-redis.ts'
import { Opened } from './opened.ts'

/** The description of the fleet's own endpoints, held against running services. */

interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

interface Operation {
  readonly operationId: string
  readonly responses: Readonly<Record<string, { readonly $ref?: string }>>
}

const file = fileURLToPath(new URL('../../console/openapi.yaml', import.meta.url))
const methods = new Set(['get', 'post', 'delete', 'put', 'patch'])
const adminToken = 'operator-of-tests-1'
const clientToken = 'client-of-tests-1'
const asOperator = { Authorization: `Bearer ${adminToken}` }
const asClient = { Authorization: `Bearer ${clientToken}` }
const nobody = '00000000-0000-4000-8000-000000000000'

const description = parse(await readFile(file, 'utf8')) as Description
const ajv = new Ajv2020({ strict: false, validateFormats: false })
ajv.addSchema(description, 'fleet')
const opened = new Opened()
const places = { cookie: '', csrf: '', replica: '', bulk: '', key: '', ended: '', removable: '', report: '' }

beforeAll(async () => {
  const fake = await startFakeIpinfo()
  opened.defer(() => fake.close())
  const redis = await startTestRedis()
  opened.defer(() => redis.stop())
  const env = { REDIS_URL: redis.url, REDIS_TIMEOUT_MS: '5000', DRAIN_MS: '0', HOST: '127.0.0.1', LOG_FORMAT: 'json' }
  const replica = await opened.service(
    startReplica({
      ...env,
      IPINFO_KEYS: 'test-key-1,test-key-2',
      IPINFO_BASE_URL: fake.url,
      ADMIN_TOKEN: adminToken,
      CLIENT_TOKENS: `tests=${clientToken};requests=1000/hour;units=1000/day`,
    }),
  )
  const bulk = await opened.service(jobsOf(replica, env))
  Object.assign(places, { replica: replica.url, bulk: bulk.url })
  const keys = (await (await fetch(`${replica.url}/keys`, { headers: asOperator })).json()) as {
    keys: [{ id: string }]
  }
  places.key = keys.keys[0].id
  await logIn()
  places.ended = await endedJob('8.8.8.8\n1.1.1.1\nnonsense\n')
  places.report = await reportOf(places.ended)
  places.removable = await endedJob('9.9.9.9\n')
})

afterAll(() => opened.disposeAsync())

function jobsOf(replica: ServiceProcess, env: Readonly<Record<string, string>>): Promise<ServiceProcess> {
  const entry = fileURLToPath(new URL('../../../services/bulk/src/main.ts', import.meta.url))
  return startService({
    entry,
    name: 'bulk',
    env: { ...env, PORT: '0', LOOKUP_URL: replica.url, LOOKUP_TOKEN: clientToken },
  })
}

/** A session of the console. */
async function logIn(): Promise<void> {
  const reply = await fetch(`${places.replica}/console/session`, { method: 'POST', ...loginOf(adminToken) })
  places.cookie = reply.headers.getSetCookie()[0]?.split(';', 1)[0] ?? ''
  const session = await fetch(`${places.replica}/console/api/session`, { headers: { Cookie: places.cookie } })
  places.csrf = ((await session.json()) as { csrf: string }).csrf
}

/** What the page sends with each request that changes something. */
const sessionFields = () => ({ Cookie: places.cookie, 'X-CSRF-Token': places.csrf, Origin: places.replica })

/** @returns the id of a job, once all of its results are there */
async function endedJob(list: string): Promise<string> {
  const made = await fetch(`${places.bulk}/jobs`, { method: 'POST', body: list })
  const { id } = (await made.json()) as { id: string }
  await (await fetch(`${places.bulk}/jobs/${id}/events`)).text()
  return id
}

async function reportOf(id: string): Promise<string> {
  const job = (await (await fetch(`${places.bulk}/jobs/${id}`)).json()) as { report: string }
  return job.report.split('/').at(-1) ?? ''
}

const loginOf = (token: string) => ({
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify({ token }),
})

interface Asked {
  readonly at?: 'replica' | 'bulk'
  /** In the place of `{id}`. */
  readonly id?: () => string
  /** In the place of `{report}`. */
  readonly report?: () => string
  readonly query?: string
  readonly headers?: Readonly<Record<string, string>>
  /** With the session of the console. */
  readonly isLoggedIn?: true
  readonly body?: string
  readonly status: number
}

const ofKey = { id: () => places.key, headers: asOperator }
const ofNoKey = { id: () => 'unknown', headers: asOperator, status: 404 }
const ofJob = { at: 'bulk', id: () => places.ended } as const
const ofNoJob = { at: 'bulk', id: () => nobody, status: 404 } as const

/** In this order. */
const asked: Readonly<Record<string, readonly Asked[]>> = {
  livez: [{ status: 200 }, { at: 'bulk', status: 200 }],
  readyz: [{ status: 200 }, { at: 'bulk', status: 200 }],
  health: [{ status: 200 }, { at: 'bulk', status: 200 }],
  metrics: [
    { status: 200 },
    { status: 200, headers: { Accept: 'application/openmetrics-text; version=1.0.0' } },
    { at: 'bulk', status: 200 },
  ],
  stats: [{ status: 200 }, { query: 'scope=fleet', status: 200 }],
  purge: [{ status: 401 }, { headers: asOperator, status: 204 }],
  keys: [{ status: 401 }, { headers: asOperator, status: 200 }],
  benchKey: [{ ...ofKey, query: 'seconds=600', status: 200 }, { ...ofKey, query: 'seconds=0', status: 400 }, ofNoKey],
  releaseKey: [{ ...ofKey, status: 200 }, ofNoKey],
  testKey: [{ ...ofKey, status: 200 }, ofNoKey],
  consoleLogin: [
    { ...loginOf(adminToken), status: 204 },
    { ...loginOf('not the token'), status: 401 },
    { headers: { 'Content-Type': 'application/json' }, body: '{', status: 400 },
    { body: adminToken, status: 415 },
  ],
  consoleSession: [{ status: 401 }, { isLoggedIn: true, status: 200 }],
  consoleOverview: [{ status: 401 }, { isLoggedIn: true, status: 200 }],
  consoleEvents: [{ status: 401 }],
  consoleLookup: [
    { query: 'q=8.8.8.8', status: 401 },
    { query: 'q=8.8.8.8', isLoggedIn: true, status: 200 },
    { query: 'q=nonsense', isLoggedIn: true, status: 400 },
  ],
  consoleKeyAction: [
    { id: () => places.key, status: 401 },
    { id: () => places.key, isLoggedIn: true, status: 200 },
    { id: () => 'unknown', isLoggedIn: true, status: 404 },
  ],
  consolePurge: [{ status: 401 }, { isLoggedIn: true, status: 204 }],
  consoleLogout: [{ isLoggedIn: true, status: 204 }],
  usage: [
    { status: 401 },
    { headers: { Authorization: 'Bearer wrong' }, status: 403 },
    { headers: asClient, status: 200 },
  ],
  createJob: [
    { at: 'bulk', body: '8.8.8.8\n', query: 'fields=city', status: 202 },
    { at: 'bulk', body: '8.8.8.8\n', query: 'fields=no_such_field', status: 400 },
    { at: 'bulk', body: '8.8.8.8\n', headers: { 'Content-Type': 'image/png' }, status: 415 },
  ],
  listJobs: [
    { at: 'bulk', query: 'limit=1', status: 200 },
    { at: 'bulk', query: 'limit=none', status: 400 },
  ],
  job: [{ ...ofJob, status: 200 }, ofNoJob],
  jobEvents: [{ ...ofJob, status: 200 }, ofNoJob],
  jobResults: [
    { ...ofJob, status: 200 },
    { ...ofJob, query: 'format=csv', status: 200 },
    { ...ofJob, query: 'format=json', status: 200 },
    { ...ofJob, headers: { Range: 'bytes=0-9' }, status: 206 },
    { ...ofJob, headers: { Range: 'bytes=99999999-' }, status: 416 },
    ofNoJob,
  ],
  jobSummary: [{ ...ofJob, status: 200 }, ofNoJob],
  jobReport: [{ ...ofJob, status: 200 }, { ...ofJob, headers: { Accept: 'application/json' }, status: 200 }, ofNoJob],
  sharedJobReport: [
    { ...ofJob, report: () => places.report, status: 200 },
    { ...ofJob, report: () => places.report, headers: { Accept: 'application/json' }, status: 200 },
    { ...ofJob, report: () => 'unknown', status: 404 },
  ],
  sendWebhook: [{ ...ofJob, status: 409 }, ofNoJob],
  deleteJob: [{ at: 'bulk', id: () => places.removable, status: 204 }, ofNoJob],
}

const operations = Object.entries(description.paths).flatMap(([path, item]) =>
  Object.entries(item)
    .filter(([method]) => methods.has(method))
    .map(([method, operation]) => ({ path, method, operation: operation as Operation })),
)

test('is an OpenAPI description', async () => {
  const validator = new Validator()
  expect(await validator.validate(file)).toEqual({ valid: true })
  expect(validator.version).toBe('3.1')
})

test('each of its operations is asked below', () => {
  expect(Object.keys(asked).toSorted()).toEqual(operations.map(({ operation }) => operation.operationId).toSorted())
})

test('is served, with a reader that needs no script', async () => {
  const served = await fetch(`${places.replica}/console/openapi.yaml`)
  expect(await served.text()).toBe(await readFile(file, 'utf8'))
  const reader = await fetch(`${places.replica}/console/reference`)
  expect(reader.headers.get('content-type')).toBe('text/html; charset=utf-8')
  const page = await reader.text()
  const missing = operations.filter(
    ({ path, operation }) => !page.includes(`id="${operation.operationId}"`) || !page.includes(path),
  )
  expect(missing).toEqual([])
  expect(page).not.toMatch(/<script|style=/)
})

describe.each(Object.entries(asked))('%s', (operationId, requests) => {
  test.each(requests.map((one) => [one.status, one.at ?? 'replica', one.query ?? '', one] as const))(
    'answers as described: %i of the %s %s',
    async (status, at, query, { id, report, headers, isLoggedIn, body }) => {
      const found = operations.find(({ operation }) => operation.operationId === operationId)
      if (!found) throw new Error(`${operationId} is not described`)
      const parts: Readonly<Record<string, string | undefined>> = { id: id?.(), report: report?.(), action: 'test' }
      const path = found.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => parts[name] ?? '')
      const method = found.method.toUpperCase()
      const reply = await fetch(`${places[at]}${path}?${query}`, {
        method,
        headers: { ...headers, ...(isLoggedIn && sessionFields()) },
        ...(body && { body }),
      })
      const text = await reply.text()
      expect(reply.status).toBe(status)
      const type = reply.headers.get('content-type')?.split(';', 1)[0]
      const { content, check } = describedOf(found, status, type)
      expect(content.filter((described) => described === type)).toEqual(content.length > 0 ? [type] : [])
      if (type === 'application/json') check?.(JSON.parse(text))
      // Null is what a check says that has passed.
      expect(type === 'application/json' ? check?.errors : null).toBeNull()
    },
  )
})

/** What is described of one answer: its media types, and what checks the body of this one. */
function describedOf(
  { path, method, operation }: (typeof operations)[number],
  status: number,
  type: string | undefined,
): { readonly content: readonly string[]; readonly check: ValidateFunction | undefined } {
  const { $ref: reference } = operation.responses[status] ?? {}
  const place = reference ?? `#/paths/${escaped(path)}/${method}/responses/${status}`
  const answer = ajv.getSchema(`fleet${place}`)?.schema as { content?: Readonly<Record<string, unknown>> } | undefined
  if (!answer) throw new Error(`${operation.operationId} does not say that it may answer ${status}`)
  const schema = `fleet${place}/content/${escaped(type ?? '')}/schema`
  return {
    content: Object.keys(answer.content ?? {}),
    check: type === 'application/json' ? ajv.getSchema(schema) : undefined,
  }
}

/** A part of a JSON Pointer in a URI (RFC 6901 §6). */
function escaped(part: string): string {
  return encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))
}
