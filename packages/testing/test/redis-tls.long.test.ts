import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { compileCache } from '../src/compile-cache.ts'
import { type FakeIpinfo, startFakeIpinfo } from '../src/fake-ipinfo.ts'
import { makeReadmeUser } from '../src/redis-users.ts'
import { RespClient } from '../src/resp-client.ts'
import { type ServiceProcess, startReplica, startService } from '../src/service-process.ts'
import { temporaryFolder } from '../src/service-process-folder.ts'
import { testCertificate, type TestCertificate } from '../src/test-certificate.ts'
import { startTestCluster, type TestCluster } from '../src/test-cluster.ts'
import { startTestSentinels, type TestSentinels } from '../src/test-sentinels.ts'
import { until } from '../src/until.ts'
import { Opened } from './opened.ts'

/**
 * A Cluster, and a master that Sentinels watch, with TLS on every connection, certificates for the name `localhost`
 * alone, certificates of clients, and a user for each service who may do no more than its README tells.
 */

const services = ['lookup', 'edge', 'egress', 'bulk'] as const
type Service = (typeof services)[number]

const opened = new Opened()
let certificate: TestCertificate
let fake: FakeIpinfo
let folder: string
beforeAll(async () => {
  certificate = await testCertificate({ names: ['localhost'] })
  opened.use(certificate)
  fake = await startFakeIpinfo()
  opened.defer(() => fake.close())
  const made = await temporaryFolder('redis-tls')
  opened.defer(() => made.remove())
  folder = made.path
  await writeFile(
    join(folder, 'edge.toml'),
    '[server]\nlisten = "127.0.0.1:0"\n[upstreams]\nbackends = ["http://127.0.0.1:1"]\n',
  )
})
afterAll(() => opened.disposeAsync())

const inEachPlace: Readonly<Record<Service, Readonly<Record<string, string>>>> = {
  lookup: { PORT: '0', HOST: '127.0.0.1' },
  edge: {},
  egress: { LISTEN_ADDR: '127.0.0.1:0', METRICS_ADDR: 'off' },
  bulk: { PORT: '0', HOST: '127.0.0.1' },
}

function entryOf(service: Service): string {
  return fileURLToPath(new URL(`../../../services/${service}/src/main.ts`, import.meta.url))
}

const argsOf = (service: Service): string[] => (service === 'edge' ? ['--config', join(folder, 'edge.toml')] : [])

function envOf(service: Service, url: string): Record<string, string> {
  return {
    ...inEachPlace[service],
    LOG_FORMAT: 'json',
    DRAIN_MS: '0',
    REDIS_URL: url,
    REDIS_CA: certificate.certFile,
    REDIS_CERT: certificate.certFile,
    REDIS_KEY: certificate.keyFile,
    REDIS_USERNAME: service,
    REDIS_PASSWORD: 'PASSWORD',
    REDIS_TIMEOUT_MS: '5000',
  }
}

function start(service: Service, env: Record<string, string>): Promise<ServiceProcess> {
  return opened.service(startService({ entry: entryOf(service), args: argsOf(service), name: service, env }))
}

async function replicaPair(url: string, env: Record<string, string> = {}): Promise<readonly ServiceProcess[]> {
  const all = {
    ...envOf('lookup', url),
    IPINFO_KEYS: 'key-1,key-2,key-3',
    IPINFO_BASE_URL: fake.url,
    IPINFO_API_BASE_URL: fake.apiUrl,
    QUOTA_POLL_SECONDS: '0',
    ...env,
  }
  return Promise.all([1, 2].map(() => opened.service(startReplica(all))))
}

async function statsOf(url: string): Promise<string> {
  const client = await RespClient.connect(url)
  try {
    return String(await client.call('INFO', 'commandstats'))
  } finally {
    client.close()
  }
}

let asked = 0

/** Whether thirty new addresses cost two replicas one upstream call each. */
async function share(replicas: readonly ServiceProcess[]): Promise<boolean> {
  const addresses = Array.from({ length: 30 }, () => {
    asked += 1
    return `5.19.${asked >> 8}.${asked & 255}`
  })
  for (const address of addresses) {
    for (const { url } of replicas) expect((await fetch(`${url}/${address}`)).status).toBe(200)
  }
  return addresses.every((address) => fake.calls.filter(({ path }) => path === `/${address}`).length === 1)
}

async function reachable(service: Service, url: string): Promise<void> {
  const running = await start(service, { ...envOf(service, url), LOG_LEVEL: 'trace' })
  await running.waitForLine(({ msg }) => msg === 'redis is up', 60_000)
  await running.stop()
  expect(running.output()).not.toContain('PASSWORD')
  expect(running.output()).not.toContain('NOPERM')
}

function check(
  service: Service,
  env: Record<string, string>,
): { readonly status: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [entryOf(service), ...argsOf(service), '--check'], {
    cwd: tmpdir(),
    env: { ...compileCache, ...env },
    encoding: 'utf8',
  })
  return { status, said: stdout + stderr }
}

/** What a replica says that trusts another authority, or expects another name. */
async function problemWith(url: string, env: Record<string, string>): Promise<string> {
  const replica = await startReplica({ ...envOf('lookup', url), ...env })
  const line = await replica.waitForLine(({ level, redis }) => level !== 'info' && redis === 'state', 60_000)
  // It would go on trying, and keep those busy that are to see to a failover.
  await replica.stop()
  return JSON.stringify(line)
}

describe('a Cluster', () => {
  let cluster: TestCluster
  beforeAll(async () => {
    cluster = await startTestCluster({ replicas: true, certificate })
    opened.defer(() => cluster.stop())
    for (const service of services) {
      await makeReadmeUser({ call: (...command) => cluster.onEachNode(...command) }, service)
      await cluster.onEachNode('ACL', 'SETUSER', service, '+cluster|slots', '+asking')
    }
  }, 120_000)

  test.each(services)('%s reaches it', (service) => reachable(service, cluster.url), 90_000)

  test.each(services)('--check of %s finds nothing wrong', (service) => {
    expect(check(service, { ...envOf(service, cluster.url), LOOKUP_URL: 'http://127.0.0.1:1' })).toMatchObject({
      status: 0,
    })
  })

  test('an authority that is not trusted is named, and the setting', async () => {
    await using other = await testCertificate()
    expect(await problemWith(cluster.url, { REDIS_CA: other.certFile })).toMatch(
      /not trusted: name its file in REDIS_CA/,
    )
  }, 90_000)

  test('addresses that no certificate is for are named, and REDIS_NAT_MAP leads to the names', async () => {
    const byAddress = cluster.url.replaceAll('localhost', '127.0.0.1')
    expect(await problemWith(byAddress, {})).toMatch(/is not for 127\.0\.0\.1/)
    const ports = [...cluster.url.matchAll(/localhost:(\d+)/g)].map(([, port]) => port)
    await cluster.onEachNode('CONFIG', 'SET', 'cluster-preferred-endpoint-type', 'ip')
    const map = ports.map((port) => `127.0.0.1:${port}=localhost:${port}`).join()
    await until(async () => share(await replicaPair(cluster.url, { REDIS_NAT_MAP: map })), 60_000)
    await cluster.onEachNode('CONFIG', 'SET', 'cluster-preferred-endpoint-type', 'hostname')
  }, 120_000)

  test('answers are read from replicas, with the right that the README names', async () => {
    const readsOfReplicas = async (): Promise<number> => {
      const stats = (await Promise.all(cluster.nodes.slice(3).map(({ url }) => statsOf(url)))).join('')
      return Array.from(stats.matchAll(/cmdstat_m?get:calls=(\d+)/g), ([, count]) => Number(count)).reduce(
        (a, b) => a + b,
        0,
      )
    }
    await cluster.onEachNode('ACL', 'SETUSER', 'lookup', '+readonly')
    await cluster.onEachNode('ACL', 'LOG', 'RESET')
    const replicas = await replicaPair(cluster.url, { REDIS_READ_FROM: 'replicas' })
    await until(async () => (await share(replicas)) && (await readsOfReplicas()) > 0, 60_000)
    const refused = await cluster.onEachNode('ACL', 'LOG')
    expect(JSON.stringify(refused)).not.toContain('readonly')
    await cluster.onEachNode('ACL', 'SETUSER', 'lookup', '-readonly')
  }, 120_000)

  // Last, since it takes a master away.
  test('a master that dies is replaced, and replicas share again', async () => {
    const replicas = await replicaPair(cluster.url)
    await until(() => share(replicas), 60_000)
    await cluster.nodes[0]?.kill()
    await until(() => share(replicas), 120_000)
  }, 300_000)
})

describe('a master that Sentinels watch', () => {
  let sentinels: TestSentinels
  beforeAll(async () => {
    sentinels = await startTestSentinels({ replicas: 2, sentinels: 3, certificate })
    opened.defer(() => sentinels.stop())
    for (const { url } of sentinels.servers) {
      const client = await RespClient.connect(url)
      for (const service of services) await makeReadmeUser(client, service)
      client.close()
    }
  }, 120_000)

  test.each(services)('%s reaches it', (service) => reachable(service, sentinels.url), 90_000)

  test.each(services)('--check of %s finds nothing wrong', (service) => {
    expect(check(service, { ...envOf(service, sentinels.url), LOOKUP_URL: 'http://127.0.0.1:1' })).toMatchObject({
      status: 0,
    })
  })

  test('an authority that is not trusted is named, and the setting', async () => {
    await using other = await testCertificate()
    expect(await problemWith(sentinels.url, { REDIS_CA: other.certFile })).toMatch(
      /not trusted: name its file in REDIS_CA/,
    )
  }, 90_000)

  test('after a planned failover replicas share again', async () => {
    const replicas = await replicaPair(sentinels.url)
    await until(() => share(replicas), 60_000)
    await sentinels.waitForReplicas(2)
    await sentinels.failOver()
    await until(() => share(replicas), 120_000)
  }, 600_000)
})
