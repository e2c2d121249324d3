import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { compileCache } from '@ipfleet/testing/compile-cache.ts'
import { promisify } from 'node:util'
import { afterEach, describe, expect, test } from '@jest/globals'
import { startService } from '@ipfleet/testing/service-process.ts'
import { likelyFreePort } from '@ipfleet/testing/service-process-port.ts'
import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import { addresses } from '@ipfleet/testing/public-addresses.ts'
import { BulkHarness } from './bulk-harness.ts'

const run = promisify(execFile)
const entry = fileURLToPath(new URL('../src/main.ts', import.meta.url))
let harness: BulkHarness | undefined

afterEach(async () => {
  await harness?.stop()
  harness = undefined
})

test('SIGTERM in the middle of a job: chunks are finished or handed back, and another process does the rest', async () => {
  harness = await BulkHarness.start({ services: 2, fake: { latencyMs: 50 }, bulkEnv: { DRAIN_MS: '200' } })
  const [, second] = harness.services
  const lines = addresses(20_000)
  const id = await harness.post(lines.join('\n'))
  await until(async () => ((await harness?.job(id).catch(() => undefined))?.lines.done ?? 0) > 2000)
  const { code } = (await second?.stop()) ?? {}
  expect(code).toBe(0)
  expect(second?.lines().some(({ msg }) => msg === 'stopped')).toBe(true)
  // Sooner than a worker that has died is missed.
  await harness.waitFor(id, 'completed', 30_000)
  const results = (await harness.results(id)).trimEnd().split('\n')
  expect(results.map((line) => (JSON.parse(line) as { ip: string }).ip)).toEqual(lines)
})

test('it starts without Redis, refuses jobs until that is there, and then takes them', async () => {
  const port = likelyFreePort()
  const service = await startService({
    entry,
    name: 'bulk',
    env: { PORT: '0', HOST: '127.0.0.1', LOG_FORMAT: 'json', REDIS_URL: `redis://127.0.0.1:${port}`, DRAIN_MS: '0' },
  })
  try {
    const post = () => fetch(`${service.url}/jobs`, { method: 'POST', body: '10.0.0.1' })
    const refused = await post()
    expect(refused.status).toBe(503)
    expect(refused.headers.get('retry-after')).not.toBeNull()
    expect(await (await fetch(`${service.url}/health`)).json()).toMatchObject({ status: 'degraded' })
    const redis = await startTestRedis({ port })
    try {
      await until(async () => (await post()).status === 202)
    } finally {
      await redis.stop()
    }
  } finally {
    expect((await service.stop()).code).toBe(0)
  }
})

test('jobs belong to their token; units are counted for it, and work waits for more of them', async () => {
  const tokens = 'lookups-own-token,a=client-token-a;units=1500/hour,b=client-token-b'
  harness = await BulkHarness.start({
    lookupEnv: { CLIENT_TOKENS: tokens },
    bulkEnv: { CLIENT_TOKENS: tokens, LOOKUP_TOKEN: 'lookups-own-token' },
  })
  const { url } = harness
  const as = (token: string, path: string) => fetch(`${url}${path}`, { headers: { Authorization: `Bearer ${token}` } })
  const id = await harness.post(addresses(4000).join('\n'), '', { Authorization: 'Bearer client-token-a' })
  expect((await as('client-token-b', `/jobs/${id}`)).status).toBe(404)
  expect((await fetch(`${url}/jobs/${id}`)).status).toBe(401)
  const done = async () =>
    ((await (await as('client-token-a', `/jobs/${id}`)).json()) as { lines: { done: number } }).lines.done
  await until(async () => (await done()) >= 1000)
  const metrics = () => fetch(`${url}/metrics`).then((response) => response.text())
  // Chunks under way together may go beyond; those after them wait.
  await until(async () => /ipfleet_bulk_queue_depth [1-9]/.test(await metrics()))
  expect(await done()).toBeLessThan(4000)
})

test('a token that the fleet does not know is told in the log, and work goes on once it does', async () => {
  harness = await BulkHarness.start({
    lookupEnv: { CLIENT_TOKENS: 'lookups-own-token' },
    bulkEnv: { LOOKUP_TOKEN: 'an-unknown-token' },
  })
  const id = await harness.post('8.8.8.8')
  await harness.services[0]?.waitForLine(({ level, msg }) => level === 'warn' && String(msg).includes('LOOKUP_TOKEN'))
  expect(harness.services[0]?.output()).not.toContain('an-unknown-token')
  await harness.join({ LOOKUP_TOKEN: 'lookups-own-token' })
  await harness.services[0]?.stop()
  const url = harness.services[1]?.url
  await until(
    async () => ((await (await fetch(`${url}/jobs/${id}`)).json()) as { state: string }).state === 'completed',
  )
})

describe('the command line', () => {
  test('--help tells every setting', async () => {
    const { stdout } = await bulk(['--help'])
    for (const name of ['REDIS_URL', 'LOOKUP_URL', 'BULK_CONCURRENCY', 'WEBHOOK_SECRET', 'RESULT_TTL_SECONDS']) {
      expect(stdout).toContain(name)
    }
  })

  test('--check says what is missing or wrong, without secrets', async () => {
    expect(await bulk(['--check'])).toMatchObject({ code: 2, stderr: expect.stringContaining('REDIS_URL') })
    const wrong = await bulk(['--check'], { REDIS_URL: 'redis://localhost', WEBHOOK_SECRET: 'too-short-a-secret' })
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('WEBHOOK_SECRET') })
    expect(`${wrong.stdout}${wrong.stderr}`).not.toContain('too-short-a-secret')
    const good = await bulk(['--check'], { REDIS_URL: 'redis://localhost' })
    expect(good).not.toHaveProperty('code')
  })
})

function bulk(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return run(process.execPath, [entry, ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...compileCache, ...env },
  }).catch((error: { code: number; stdout: string; stderr: string }) => error)
}
