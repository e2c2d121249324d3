import { until } from '@ipfleet/testing/until.ts'
import { readFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { expect, test } from '@jest/globals'
import { compileCache } from '@ipfleet/testing/compile-cache.ts'
import { type FakeIpinfo, startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { spawnGuarded } from '@ipfleet/testing/service-process-child.ts'
import { likelyFreePort, waitUntilListening } from '@ipfleet/testing/service-process-port.ts'
import { lookupEntry } from '@ipfleet/testing/service-process.ts'
import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import { type AskOptions, type HttpClient, httpClient } from './local-fleet.ts'
import { observeRedis } from '@ipfleet/testing/redis-observer.ts'

/** Characters that look different in each encoding. */
const canary = 'canary+Q7/x=9fz2'
const adminToken = 'canary-admin/W4+t'

/** Every form in which a secret might be found again. */
function formsOf(secret: string): string[] {
  const base64 = [secret, `${secret}:`, `:${secret}`].map((text) => Buffer.from(text).toString('base64'))
  const cores = base64.map((text) => text.replaceAll('=', '').slice(0, -1))
  const encoded = encodeURIComponent(secret)
  const lowerCase = encoded.replaceAll(/%../g, (octet) => octet.toLowerCase())
  return [secret, encoded, lowerCase, ...cores, ...cores.map((core) => core.replaceAll('+', '-').replaceAll('/', '_'))]
}

interface Evidence {
  readonly where: string
  readonly text: string
}

/** A replica of either log format: `startReplica` knows JSON only. */
async function startLogging(format: 'text' | 'json', env: Record<string, string>) {
  const port = likelyFreePort()
  const child = await spawnGuarded(process.execPath, {
    args: [lookupEntry],
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: homedir(),
      ...compileCache,
      PORT: String(port),
      HOST: '127.0.0.1',
      ...env,
    },
    cwd: tmpdir(),
  })
  const lines: string[] = []
  child.onLine((line) => lines.push(line))
  await waitUntilListening(port, AbortSignal.timeout(60_000))
  return { ...child, format, lines, url: `http://127.0.0.1:${port}` }
}

test('a key is seen by upstream alone', async () => {
  const redis = await startTestRedis()
  const fake = await startFakeIpinfo({ keys: { [canary]: {}, 'other-key': {} } })
  const client = httpClient()
  const evidence: Evidence[] = []
  const env = {
    IPINFO_KEYS: `${canary},other-key`,
    IPINFO_BASE_URL: fake.url,
    IPINFO_API_BASE_URL: fake.apiUrl,
    REDIS_URL: redis.url,
    ADMIN_TOKEN: adminToken,
    LOG_LEVEL: 'trace',
    DRAIN_MS: '0',
    REQUEST_TIMEOUT_MS: '400',
    COOLDOWN_SECONDS: '1',
    QUARANTINE_SECONDS: '1',
    TRUST_PROXY: '127.0.0.0/8',
  }
  const replicas = await Promise.all([
    startLogging('text', { ...env, LOG_FORMAT: 'text' }),
    startLogging('json', { ...env, LOG_FORMAT: 'json' }),
  ])
  const observer = await observeRedis(redis.url)
  try {
    for (const [index, { url }] of replicas.entries()) {
      const ask = async (path: string, options: AskOptions = {}): Promise<void> => {
        const reply = await client.ask(url, path, options)
        evidence.push({ where: `answer to ${path}`, text: JSON.stringify([reply.headers, reply.text]) })
      }
      await goodTimes(ask, index)
      // The bench that the replica before ended with.
      await until(async () => !(await client.ask(url, '/health')).text.includes('"cooling":1'))
      await badTimes(ask, fake, index)
      await badRequests(ask)
    }
    // It rests most of the time, for what upstream says: 8 or 9 calls, fewer where the machine stood still.
    expect(fake.countByToken()[canary]).toBeGreaterThan(2)
    await fake.close()
    for (const [index, { url }] of replicas.entries()) await afterTheEnd(client, url, index, evidence)
    for (const { pid, url } of replicas) {
      for (const path of ['/metrics', '/stats', '/stats?scope=fleet', '/health']) {
        evidence.push({ where: path, text: (await client.ask(url, path)).text })
      }
      for (const file of ['cmdline', 'comm', 'status']) {
        evidence.push({ where: `/proc/pid/${file}`, text: readFileSync(`/proc/${pid}/${file}`, 'utf8') })
      }
    }
    evidence.push({ where: 'Redis', text: await observer.dump() })
    evidence.push({ where: 'Redis, commands', text: JSON.stringify(observer.commands()) })
  } finally {
    client.close()
    await observer[Symbol.asyncDispose]()
    await Promise.all(replicas.map((replica) => replica.stop()))
    await fake.close()
    await redis.stop()
  }
  for (const { lines, format } of replicas) evidence.push({ where: `${format} log`, text: lines.join('\n') })

  // What is searched for would be found: there is something everywhere.
  expect(evidence.length).toBeGreaterThan(60)
  expect(evidence.filter(({ text }) => text.length === 0)).toEqual([])
  const secrets = [...formsOf(canary), ...formsOf(adminToken)]
  const leaks = evidence.flatMap(({ where, text }) =>
    secrets.filter((form) => text.includes(form)).map((form) => `${where} shows ${form}`),
  )
  expect(leaks).toEqual([])
})

type Ask = (path: string, options?: AskOptions) => Promise<void>

/** Answers, from each tier and past the caches. */
async function goodTimes(ask: Ask, index: number): Promise<void> {
  for (let round = 0; round < 4; round += 1) await ask(`/9.${index}.0.${round}`)
  await ask('/8.8.8.8')
  await ask('/8.8.8.8')
  await ask('/8.8.8.8/city')
  await ask('/8.8.8.8', { headers: { 'cache-control': 'no-cache' } })
  await ask('/', { headers: { 'x-forwarded-for': '9.9.9.9' } })
  await ask('/me')
  await ask('/me')
  await ask('/batch', { method: 'POST', body: '["8.8.8.8"]' })
  await ask('/cache', { method: 'DELETE', headers: { authorization: `Bearer ${adminToken}` } })
  await ask('/cache', { method: 'DELETE', headers: { authorization: `Bearer ${adminToken}x` } })
}

/** Everything that upstream can do wrong, most of it with the key in its mouth. */
async function badTimes(ask: Ask, fake: FakeIpinfo, index: number): Promise<void> {
  const echo = { error: `the token ${canary} is no good`, authorization: `Bearer ${canary}`, deep: [{ key: canary }] }
  let next = 0
  const one = async (behaviour: Parameters<FakeIpinfo['behave']>[0]): Promise<void> => {
    const disarm = fake.behave(behaviour)
    await ask(`/9.${index}.1.${next++}`)
    await ask(`/9.${index}.1.${next++}/company`)
    disarm()
  }
  for (const status of [200, 400, 404, 418, 500, 503, 302]) {
    await one({ kind: 'status', status, body: echo, tokens: [canary] })
  }
  await one({ kind: 'reset' })
  await one({ kind: 'reset-mid-body' })
  await one({ kind: 'garbage' })
  await one({ kind: 'hang' })
  await one({ kind: 'redirect', location: `/elsewhere?token=${encodeURIComponent(canary)}` })
  await one({ kind: '401-storm' })
  await one({ kind: 'status', status: 403, body: { ...echo, title: 'Unknown token' }, tokens: [canary] })
  await one({ kind: 'status', status: 401, body: echo, tokens: [canary] })
  await one({ kind: '429-storm', tokens: [canary] })
  await one({ kind: 'status', status: 429, body: echo, tokens: [canary] })
}

/** Requests that hold the key themselves, as a client that has it might send them. */
async function badRequests(ask: Ask): Promise<void> {
  const encoded = encodeURIComponent(canary)
  await ask(`/${encoded}`)
  await ask(`/8.8.8.8%00${encoded}`)
  await ask(`/%ZZ${encoded}`)
  await ask(`/1.1.1.${canary}`)
  await ask(`/8.8.8.8?token=${encoded}`)
  await ask(`/AS15169?token=${canary}`)
  await ask('/8.8.8.8', { headers: { authorization: `Bearer ${canary}` } })
  await ask('/8.8.8.8', { headers: { authorization: `Basic ${Buffer.from(`${canary}:`).toString('base64')}` } })
  await ask('/8.8.8.8', { headers: { 'x-request-id': canary } })
  await ask(`/cache?token=${encoded}`, { method: 'DELETE' })
  await ask(`/8.8.8.8?token=${encoded}`, { method: 'PUT' })
  await ask(`/batch?token=${encoded}`, { method: 'POST', body: '[' })
}

/** Upstream is gone altogether. */
async function afterTheEnd(client: HttpClient, url: string, index: number, evidence: Evidence[]): Promise<void> {
  for (const path of [`/9.${index}.2.1`, '/me', '/8.8.8.8/asn']) {
    const reply = await client.ask(url, path)
    evidence.push({ where: `answer to ${path}, upstream gone`, text: JSON.stringify([reply.headers, reply.text]) })
  }
}
