import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type FakeIpinfo, startFakeIpinfo } from '../src/fake-ipinfo.ts'
import { RespClient } from '../src/resp-client.ts'
import { type ServiceProcess, startReplica, startService } from '../src/service-process.ts'
import type { TestRedis } from '../src/test-redis.ts'
import { startTestSentinels, type TestSentinels } from '../src/test-sentinels.ts'
import { until } from '../src/until.ts'
import { Opened } from './opened.ts'

/** A fleet on a master that Sentinels watch. */

const opened = new Opened()
let sentinels: TestSentinels
let fake: FakeIpinfo
let replicas: readonly [ServiceProcess, ServiceProcess]
let bulk: ServiceProcess

beforeAll(async () => {
  sentinels = await startTestSentinels({ replicas: 2 })
  opened.defer(() => sentinels.stop())
  fake = await startFakeIpinfo()
  opened.defer(() => fake.close())
  const env = {
    REDIS_URL: `${sentinels.url}/1`,
    REDIS_TIMEOUT_MS: '2000',
    REQUEST_TIMEOUT_MS: '20000',
    IPINFO_KEYS: 'key-1,key-2,key-3',
    IPINFO_BASE_URL: fake.url,
    IPINFO_API_BASE_URL: fake.apiUrl,
    QUOTA_POLL_SECONDS: '0',
    DRAIN_MS: '0',
  }
  replicas = await Promise.all([opened.service(startReplica(env)), opened.service(startReplica(env))])
  bulk = await opened.service(
    startService({
      entry: fileURLToPath(new URL('../../../services/bulk/src/main.ts', import.meta.url)),
      name: 'bulk',
      env: {
        PORT: '0',
        HOST: '127.0.0.1',
        LOG_FORMAT: 'json',
        DRAIN_MS: '0',
        REDIS_URL: sentinels.url,
        REDIS_TIMEOUT_MS: '2000',
        LOOKUP_URL: replicas[0].url,
      },
    }),
  )
})

afterAll(() => opened.disposeAsync())

test('a master that dies is replaced: no look-up fails, benches hold, jobs go on, and health tells the new one', async () => {
  await sentinels.waitForReplicas(2)
  for (const { url } of [...replicas, bulk]) await until(() => masterOf(url))
  const [first, second] = replicas
  const { id } = (await keysOf(first))[0] as Key
  await fetch(`${first.url}/keys/${id}/bench?seconds=600`, { method: 'POST' })
  await until(async () => (await keysOf(second)).some((key) => key.id === id && key.state !== 'active'))
  const load = new Load(replicas.map(({ url }) => url))
  opened.defer(() => load.end())
  const before = await post(addresses(100).join('\n'))
  await until(() => load.answered > 50)
  const old = await sentinels.master()
  const oldAt = `127.0.0.1:${old.port}`
  await replicated(old)

  await old.kill()

  for (const { url } of [...replicas, bulk]) {
    await until(async () => ![undefined, oldAt].includes(await masterOf(url)), 60_000)
  }
  expect((await keysOf(second)).find((key) => key.id === id)?.state).not.toBe('active')
  await until(async () => (await stateOf(before)) === 'completed', 120_000)
  const after = await post(addresses(100).join('\n'))
  await until(async () => (await stateOf(after)) === 'completed', 120_000)
  await load.end()
  expect(load.failed).toEqual([])
  await until(sharesAgain)
}, 360_000)

/** Resolves when the replicas have what the master has been told so far: what they have not is lost with it. */
async function replicated(master: TestRedis): Promise<void> {
  const client = await RespClient.connect(master.url)
  await client.call('SET', 'mark', '1')
  await client.call('WAIT', '2', '20000')
  client.close()
}

/** Whether both replicas need one upstream call for one new address. */
async function sharesAgain(): Promise<boolean> {
  const [ip = ''] = addresses(1)
  for (const { url } of replicas) await (await fetch(`${url}/${ip}`)).text()
  return fake.calls.filter(({ path }) => path.includes(ip)).length === 1
}

interface Key {
  readonly id: string
  readonly state: string
}

async function keysOf({ url }: ServiceProcess): Promise<readonly Key[]> {
  return ((await (await fetch(`${url}/keys`)).json()) as { readonly keys: readonly Key[] }).keys
}

interface Link {
  readonly state?: string
  readonly topology?: string
  readonly master?: string
}

/** Which master a service says that it uses, if all is well. */
async function masterOf(url: string): Promise<string | undefined> {
  const { status, redis } = (await (await fetch(`${url}/health`)).json()) as {
    readonly status: string
    readonly redis: Link & { readonly links?: Readonly<Record<string, Link>> }
  }
  const link = redis.links?.['state'] ?? redis
  return status === 'ok' && link.state === 'up' && link.topology === 'sentinel' ? link.master : undefined
}

/** Until Redis has taken it. */
function post(body: string): Promise<string> {
  return until(async () => {
    const headers = { 'Content-Type': 'text/plain' }
    const response = await fetch(`${bulk.url}/jobs`, { method: 'POST', headers, body })
    return response.status === 202 && ((await response.json()) as { readonly id: string }).id
  })
}

async function stateOf(id: string): Promise<string | undefined> {
  const response = await fetch(`${bulk.url}/jobs/${id}`)
  return ((await response.json()) as { readonly state?: string }).state
}

let addressesMade = 0

function addresses(count: number): string[] {
  return Array.from({ length: count }, () => {
    addressesMade += 1
    return `5.18.${addressesMade >> 8}.${addressesMade & 255}`
  })
}

/** Asks for one new address after another, of each replica, until it is ended. */
class Load {
  answered = 0
  readonly failed: unknown[] = []
  #ended = false
  readonly #clients: readonly Promise<void>[]

  constructor(urls: readonly string[]) {
    this.#clients = urls.map((url) => this.#ask(url))
  }

  async end(): Promise<void> {
    this.#ended = true
    await Promise.all(this.#clients)
  }

  async #ask(url: string): Promise<void> {
    while (!this.#ended) {
      const [ip] = addresses(1)
      const answer = await fetch(`${url}/${ip}`)
        .then(async (response) => `${response.status} ${await response.text()}`)
        .catch(String)
      if (answer.startsWith('200 ')) this.answered += 1
      else this.failed.push(answer)
    }
  }
}
