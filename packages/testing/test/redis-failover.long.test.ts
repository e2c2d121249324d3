import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, test } from '@jest/globals'
import { type FakeIpinfo, startFakeIpinfo } from '../src/fake-ipinfo.ts'
import { type ServiceProcess, startReplica } from '../src/service-process.ts'
import { startTestCluster } from '../src/test-cluster.ts'
import { startTestSentinels } from '../src/test-sentinels.ts'
import { until } from '../src/until.ts'
import { Opened } from './opened.ts'

/** What the clients of a fleet notice while its Redis changes. Prints a table. */

const opened = new Opened()
const rows: string[] = []
afterAll(async () => {
  const head = [
    '| what happens | GETs | failed | worst wait | calls above the distinct look-ups | leases lost |',
    '| --- | --- | --- | --- | --- | --- |',
  ]
  process.stdout.write(`${[...head, ...rows].join('\n')}\n`)
  await opened.disposeAsync()
})

let asked = 0

function nextAddress(): string {
  asked += 1
  return `5.${18 + (asked >> 16)}.${(asked >> 8) & 255}.${asked & 255}`
}

class Fleet {
  readonly fake: FakeIpinfo
  readonly replicas: readonly ServiceProcess[]

  constructor(fake: FakeIpinfo, replicas: readonly ServiceProcess[]) {
    this.fake = fake
    this.replicas = replicas
  }

  /** The status of an address at each replica, asked all at once, or what went wrong. */
  ask(address: string): Promise<string[]> {
    return Promise.all(
      this.replicas.map(({ url }) =>
        fetch(`${url}/${address}`).then(async (answer) => `${answer.status} ${await answer.text()}`, String),
      ),
    )
  }

  callsFor(addresses: readonly string[]): number {
    const among = new Set(addresses.map((address) => `/${address}`))
    return this.fake.calls.filter(({ path }) => among.has(path)).length
  }

  /** Of both replicas, as they count them. */
  async leasesLost(): Promise<number> {
    const metrics = await Promise.all(this.replicas.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()))
    const counts = metrics.join('\n').matchAll(/^ipfleet_leases_lost_total\{.*\} (\d+)$/gm)
    return counts.reduce((sum, [, count]) => sum + Number(count), 0)
  }

  /** Whether thirty new addresses, which are on all masters, cost one call each. */
  async shares(): Promise<boolean> {
    const addresses = Array.from({ length: 30 }, nextAddress)
    for (const address of addresses) await this.ask(address)
    return this.callsFor(addresses) === addresses.length
  }

  /** Asks for new addresses while something happens, until the replicas share again. @returns what is not as promised */
  async during(what: string, happen: () => Promise<unknown>): Promise<readonly string[]> {
    await until(() => this.shares(), 120_000)
    const lostBefore = await this.leasesLost()
    const addresses: string[] = []
    const failed: string[] = []
    let worstMs = 0
    const over = new AbortController()
    const client = async (): Promise<void> => {
      while (!over.signal.aborted) {
        const address = nextAddress()
        addresses.push(address)
        const startedMs = performance.now()
        const answers = await this.ask(address)
        worstMs = Math.max(worstMs, performance.now() - startedMs)
        failed.push(...answers.filter((answer) => !answer.startsWith('200 ')))
        await sleep(10)
      }
    }
    const clients = Array.from({ length: 4 }, client)
    await until(() => addresses.length > 50)
    await happen()
    await until(() => this.shares(), 120_000).finally(() => over.abort())
    await Promise.all(clients)
    const above = this.callsFor(addresses) - addresses.length
    // Those of `shares` are counted too.
    const lost = (await this.leasesLost()) - lostBefore
    const gets = addresses.length * this.replicas.length
    rows.push(`| ${what} | ${gets} | ${failed.length} | ${Math.round(worstMs)} ms | ${above} | ${lost} |`)
    if (above > lost) failed.push(`${above} upstream calls above, with ${lost} leases lost`)
    return failed
  }
}

async function fleetOn(redisUrl: string): Promise<Fleet> {
  const fake = await startFakeIpinfo()
  opened.defer(() => fake.close())
  const env = {
    REDIS_URL: redisUrl,
    IPINFO_KEYS: 'key-1,key-2,key-3',
    IPINFO_BASE_URL: fake.url,
    IPINFO_API_BASE_URL: fake.apiUrl,
    QUOTA_POLL_SECONDS: '0',
    DRAIN_MS: '0',
  }
  return new Fleet(fake, await Promise.all([1, 2].map(() => opened.service(startReplica(env)))))
}

test('a Cluster: slots move, a node joins, masters die and hang', async () => {
  const cluster = await startTestCluster({ replicas: true })
  opened.defer(() => cluster.stop())
  const fleet = await fleetOn(cluster.url)
  const slots = [0, 64, 128, 192, 256]
  const move = async (from: number, to: number): Promise<void> => {
    for (const slot of slots) {
      await cluster.beginMove(slot, from, to)
      await until(() => fleet.shares().then(() => true))
      await cluster.endMove(slot, from, to)
    }
  }
  expect(await fleet.during('Cluster: 5 slots move to another node', () => move(0, 1))).toEqual([])
  expect(
    await fleet.during('Cluster: a node joins and takes 5 slots', async () => move(1, await cluster.add())),
  ).toEqual([])
  expect(await fleet.during('Cluster: a master is killed', async () => cluster.nodes[0]?.kill())).toEqual([])
  expect(await fleet.during('Cluster: a master is frozen', async () => cluster.nodes[1]?.pause())).toEqual([])
}, 600_000)

test('Sentinels: a planned failover, and a master that dies', async () => {
  const sentinels = await startTestSentinels({ replicas: 2, sentinels: 3 })
  opened.defer(() => sentinels.stop())
  const fleet = await fleetOn(sentinels.url)
  await sentinels.waitForReplicas(2)
  expect(await fleet.during('Sentinel: a planned failover', () => sentinels.failOver())).toEqual([])
  await sentinels.waitForReplicas(2)
  expect(await fleet.during('Sentinel: the master is killed', async () => (await sentinels.master()).kill())).toEqual(
    [],
  )
}, 600_000)
