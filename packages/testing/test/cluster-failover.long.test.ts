import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type FakeIpinfo, startFakeIpinfo } from '../src/fake-ipinfo.ts'
import { type ServiceProcess, startReplica } from '../src/service-process.ts'
import { startTestCluster, type TestCluster } from '../src/test-cluster.ts'
import { until } from '../src/until.ts'
import { Opened } from './opened.ts'

/** A fleet on a Cluster of three masters, each with a replica. */

const opened = new Opened()
let cluster: TestCluster
let fake: FakeIpinfo
let replicas: readonly ServiceProcess[]

beforeAll(async () => {
  cluster = await startTestCluster({ replicas: true })
  opened.defer(() => cluster.stop())
  fake = await startFakeIpinfo()
  opened.defer(() => fake.close())
  const env = {
    REDIS_URL: cluster.url,
    REDIS_TIMEOUT_MS: '1000',
    IPINFO_KEYS: 'key-1,key-2,key-3',
    IPINFO_BASE_URL: fake.url,
    IPINFO_API_BASE_URL: fake.apiUrl,
    QUOTA_POLL_SECONDS: '0',
    DRAIN_MS: '0',
  }
  replicas = await Promise.all([opened.service(startReplica(env)), opened.service(startReplica(env))])
}, 120_000)

afterAll(() => opened.disposeAsync())

let asked = 0

/** Whether thirty new addresses, which are on all masters, cost one call each, however many replicas are asked. */
async function shares(): Promise<boolean> {
  const addresses = Array.from({ length: 30 }, () => nextAddress())
  for (const address of addresses) {
    await Promise.all(replicas.map(({ url }) => fetch(`${url}/${address}`).then((response) => response.text())))
  }
  return addresses.every((address) => fake.callsTo(`/${address}`).length === 1)
}

function nextAddress(): string {
  asked += 1
  return `5.18.${asked >> 8}.${asked & 255}`
}

test.each(['killed', 'frozen'])(
  'a master that is %s under load costs no look-up its answer',
  async (how) => {
    await until(shares, 60_000)
    const failed: string[] = []
    const over = new AbortController()
    const load = replicas.map(async ({ url }) => {
      while (!over.signal.aborted) {
        const answer = await fetch(`${url}/${nextAddress()}`).then(
          async (response) => `${response.status} ${await response.text()}`,
          String,
        )
        if (!answer.startsWith('200 ')) failed.push(answer)
      }
    })
    const [master] = how === 'killed' ? cluster.nodes : cluster.nodes.slice(1)
    await (how === 'killed' ? master?.kill() : master?.pause())
    await until(shares, 120_000).finally(() => over.abort())
    await Promise.all(load)
    expect(failed).toEqual([])
  },
  300_000,
)
