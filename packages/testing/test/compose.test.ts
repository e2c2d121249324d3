import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { findComposeEngine } from '../src/compose-engine.ts'
import { type ComposeProject, composeProject, type Container } from '../src/compose-project.ts'
import type { FakeStats } from '../src/fake-ipinfo/call-log.ts'
import { type PrometheusApi, prometheusApi } from '../src/prometheus-api.ts'
import { likelyFreePort } from '../src/service-process-port.ts'
import { until } from '../src/until.ts'
import { startSteadyLoad, type SteadyLoad } from './steady-load.ts'

const execute = promisify(execFile)

const engine = await findComposeEngine()
if (typeof engine === 'string') {
  // `npm run test:compose` insists.
  if (process.env['IPFLEET_TEST_COMPOSE'] === 'required') throw new Error(engine)
  process.stderr.write(`compose.test.ts is skipped: ${engine}\n`)
}

const withCompose = typeof engine === 'string' ? describe.skip : describe

const buildTimeoutMs = 15 * 60_000
/** Half a minute where nothing else runs. */
const startTimeoutMs = 420_000

/** Of replicas without a key. */
const ofOfflineData = 'ipfleet_offline_built_timestamp_seconds'

const services = ['bulk', 'edge', 'egress', 'lookup', 'prometheus', 'redis', 'redis-cache']

/** A project whose published ports are free ones of this machine's loopback. */
async function startedProject(env: Readonly<Record<string, string>> = {}): Promise<Ground> {
  if (typeof engine === 'string') throw new Error(engine)
  const [edge, egress, prometheus] = [likelyFreePort(), likelyFreePort(), likelyFreePort()]
  const project = await composeProject(engine, {
    env: {
      IPFLEET_VERSION: 'test',
      EDGE_PUBLISH: `127.0.0.1:${edge}`,
      EGRESS_PUBLISH: `127.0.0.1:${egress}`,
      PROMETHEUS_PUBLISH: `127.0.0.1:${prometheus}`,
      ...env,
    },
  })
  return {
    project,
    edgeUrl: `http://127.0.0.1:${edge}`,
    egressPort: egress,
    prometheus: prometheusApi(`http://127.0.0.1:${prometheus}`),
  }
}

interface Ground {
  readonly project: ComposeProject
  readonly edgeUrl: string
  readonly egressPort: number
  readonly prometheus: PrometheusApi
}

function isHealthy({ status }: Container): boolean {
  return status.includes('(healthy)')
}

/** Of a service, or of all. */
async function allHealthy(project: ComposeProject, service?: string): Promise<void> {
  await until(async () => {
    const containers = await project.containers(service)
    if (containers.length > 0 && containers.every(isHealthy)) return true
    await sleep(500) // asking costs CPU that the containers need
    return undefined
  }, startTimeoutMs)
}

/** Addresses that no other call of it has given. */
function freshAddresses(count: number): string[] {
  nextBlock += 1
  return Array.from({ length: count }, (_, index) => `20.${nextBlock}.${index >> 8}.${index & 255}`)
}
let nextBlock = 0

withCompose('docker-compose --profile demo up -d --scale lookup=4', () => {
  let ground: Ground

  beforeAll(
    async () => {
      // A user for the egress, and a target that it may reach without leaving this machine.
      ground = await startedProject({
        PROXY_USER: 'anna',
        PROXY_PASS: 'of-the-test',
        ALLOW_TARGETS: 'lookup',
        RATE_LIMIT_BURST: '0',
        REDIS_TIMEOUT_MS: '5000', // without an answer from Redis within it, each replica asks upstream by itself
        REQUEST_TIMEOUT_MS: '20000', // the fake may be late on a busy machine
        DRAIN_MS: '500', // replicas stop five times below
      })
      const { project } = ground
      const buildMs = performance.now()
      await project.compose(['--profile', 'demo', 'build'], buildTimeoutMs)
      const startedMs = performance.now()
      await project.compose(['--profile', 'demo', 'up', '--detach', '--scale', 'lookup=4'], startTimeoutMs)
      await allHealthy(project)
      const healthyAfterSeconds = (performance.now() - startedMs) / 1000
      const builtInSeconds = ((startedMs - buildMs) / 1000).toFixed(0)
      process.stderr.write(`Healthy ${healthyAfterSeconds.toFixed(1)} s after a build that took ${builtInSeconds} s\n`)
    },
    buildTimeoutMs + 2 * startTimeoutMs,
  )

  afterAll(() => ground.project.destroy(), startTimeoutMs)

  test('everything is healthy, four replicas among it', async () => {
    const containers = await ground.project.containers()
    const four = ['lookup', 'lookup', 'lookup', 'lookup']
    expect(containers.map(({ service }) => service).toSorted()).toEqual(
      [...services.filter((name) => name !== 'lookup'), ...four, 'fake-ipinfo'].toSorted(),
    )
    expect(containers.filter((container) => !isHealthy(container))).toEqual([])
  })

  test('only the edge is reached from other machines, and Redis and the replicas are not published at all', async () => {
    const ports = await portsByService(ground.project)
    expect(ports).toEqual({ edge: ['8080/tcp'], egress: ['7777/tcp'], prometheus: ['9090/tcp'] })
    const file = readFileSync(new URL('../../../docker-compose.yml', import.meta.url), 'utf8')
    const unlessTold = file.matchAll(/\$\{(\w+)_PUBLISH:-([^}]+)\}/g)
    expect(Object.fromEntries(Array.from(unlessTold, ([, name, where]) => [name, where]))).toEqual({
      EDGE: '8080',
      EGRESS: '127.0.0.1:7777',
      PROMETHEUS: '127.0.0.1:9090',
      GRAFANA: '127.0.0.1:3000',
      ALERTMANAGER: '127.0.0.1:9093',
      JAEGER: '127.0.0.1:16686',
    })
  })

  test('containers run with nothing that they do not need', async () => {
    const { project } = ground
    for (const { id, service } of await project.containers()) {
      const [inspected]: Inspected[] = JSON.parse(await project.docker(['inspect', id]))
      const { User: user } = inspected?.Config ?? {}
      const { ReadonlyRootfs, CapDrop, SecurityOpt, Memory, NanoCpus, PidsLimit, RestartPolicy } =
        inspected?.HostConfig ?? {}
      expect({ service, user, ReadonlyRootfs, CapDrop, SecurityOpt, restart: RestartPolicy?.Name }).toEqual({
        service,
        user: expect.stringMatching(/^[1-9]\d*:\d+$/),
        ReadonlyRootfs: true,
        CapDrop: ['ALL'],
        SecurityOpt: ['no-new-privileges:true'],
        restart: 'unless-stopped',
      })
      for (const limit of [Memory, NanoCpus, PidsLimit]) expect(limit).toBeGreaterThan(0)
    }
  })

  test('Redis evicts nothing that is state, and what is asked for least among the answers', async () => {
    const { project } = ground
    const policyOf = async (service: string): Promise<string> => {
      const [container] = await project.containers(service)
      return project.docker(['exec', container?.id ?? '', 'redis-cli', 'CONFIG', 'GET', 'maxmemory-policy'])
    }
    expect(await policyOf('redis')).toContain('noeviction')
    expect(await policyOf('redis-cache')).toContain('allkeys-lfu')
  })

  test('one upstream call for each address over four replicas', async () => {
    const { project, edgeUrl } = ground
    const backends = new Set<string | null>()
    const askedAtOnce = 10
    // A container that stands still for as long as a lease lives costs a call more.
    await until(async () => {
      const addresses = freshAddresses(100)
      for (let from = 0; from < addresses.length; from += askedAtOnce) {
        const asked = addresses.slice(from, from + askedAtOnce).flatMap((address) => Array<string>(8).fill(address))
        const answers = await Promise.all(asked.map((address) => fetch(`${edgeUrl}/${address}`)))
        for (const [index, answer] of answers.entries()) {
          expect(answer.status).toBe(200)
          backends.add(answer.headers.get('x-backend'))
          expect(await answer.json()).toMatchObject({ ip: asked[index] })
        }
      }
      const { byPath } = await fakeStats(project)
      return addresses.every((address) => (byPath[`/${address}/json`] ?? byPath[`/${address}`]) === 1)
    }, 120_000)
    expect(backends.size).toBe(4)
  })

  test('jobs go through the edge to bulk', async () => {
    const { edgeUrl, prometheus } = ground
    // The dashboard shows rates, and those need a sample from before the job.
    await until(async () => (await prometheus.values('ipfleet_bulk_chunk_duration_seconds_count')).length > 0)
    const addresses = freshAddresses(2000)
    const posted = await until(async () => {
      const headers = { 'content-type': 'text/plain' }
      const answer = await fetch(`${edgeUrl}/jobs`, { method: 'POST', headers, body: addresses.join('\n') })
      return answer.status === 202 && answer
    })
    const url = `${edgeUrl}${posted.headers.get('location')}`
    await until(async () => {
      const job = (await (await fetch(url)).json()) as { readonly state: string }
      return job.state === 'completed'
    }, 150_000)
    const lines = (await (await fetch(`${url}/results`)).text()).trim().split('\n')
    expect(lines).toHaveLength(addresses.length)
  })

  test('the egress lets its user through', async () => {
    const { egressPort } = ground
    const through = async (args: readonly string[]): Promise<string> => {
      const proxy = `http://anna:of-the-test@127.0.0.1:${egressPort}`
      const { stdout } = await execute('curl', ['--silent', '--show-error', '--proxy', proxy, ...args])
      return stdout
    }
    for (let round = 0; round < 3; round += 1) {
      expect(JSON.parse(await through(['http://lookup:8080/8.8.8.8']))).toMatchObject({ ip: '8.8.8.8' })
      expect(JSON.parse(await through(['--proxytunnel', 'http://lookup:8080/8.8.4.4']))).toMatchObject({
        ip: '8.8.4.4',
      })
    }
  })

  test('a key over its limit is benched, and nobody notices', async () => {
    const { project, edgeUrl } = ground
    await tellFake(project, 'behave', { kind: 'status', status: 429, headers: { 'retry-after': '5' }, times: 1 })
    const answers = await Promise.all(freshAddresses(10).map((address) => fetch(`${edgeUrl}/${address}`)))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    await until(async () => {
      const [benches = 0] = await ground.prometheus.values('sum(ipfleet_key_benches_total)')
      return benches > 0
    })
  })

  test.each(['lookup', 'redis', 'redis-cache'])(
    'no GET fails when %s is killed',
    async (service) => {
      const { project } = ground
      const load = startLoad()
      await reached(load, 200)
      const [victim] = await project.containers(service)
      await project.docker(['kill', victim?.id ?? ''])
      // Long enough for what clients would see of it: retries, probes, the name without its address, breakers that open.
      await sleep(4000)
      await project.docker(['start', victim?.id ?? ''])
      await allHealthy(project, service)
      await reached(load, load.requests + 200)
      const { requests, failures } = await load.stop()
      process.stderr.write(`One ${service} was killed under ${requests} GETs\n`)
      expect(failures).toEqual([])
    },
    2 * startTimeoutMs,
  )

  test('Prometheus reaches every replica, and no rule is in error', async () => {
    const { prometheus } = ground
    const wanted = ['bulk', 'edge', 'egress', 'lookup', 'lookup', 'lookup', 'lookup', 'prometheus']
    await until(async () => {
      const targets = await prometheus.targets()
      const up = targets.filter(({ health }) => health === 'up').map(({ job }) => job)
      return up.toSorted().join() === wanted.join() && targets.length === wanted.length
    })
    const rules = await until(async () => {
      const all = await prometheus.rules()
      return all.length > 0 && all.every(({ health }) => health !== 'unknown') && all
    })
    expect(rules.filter(({ health, lastError }) => health !== 'ok' || lastError !== undefined)).toEqual([])
    expect(new Set(rules.map(({ type }) => type))).toEqual(new Set(['alerting', 'recording']))
  })

  test('rules are about metrics that there are', async () => {
    const { prometheus } = ground
    const queries = (await prometheus.rules()).map(({ query }) => query)
    const names = new Set(queries.flatMap((query) => query.match(/\b(?:ipfleet|process)[:_][\w:]+/g) ?? []))
    expect(names.size).toBeGreaterThan(10)
    const counts = await Promise.all([...names].map((name) => prometheus.values(`count(${name})`)))
    // Some have no series before there is something to count, such as a unit of overage: those are named in scrapes.
    const scraped = new Set(await prometheus.scrapedNames())
    const isScraped = (name: string): boolean =>
      scraped.has(name) || scraped.has(name.replace(/_total$/, '')) || name === ofOfflineData
    expect([...names].filter((name, index) => counts[index]?.length === 0 && !isScraped(name))).toEqual([])
  })

  const queries = dashboardQueries().filter(([, query]) => !query.includes(ofOfflineData))
  test.each(queries)('the dashboard has something to show: %s', async (_name, query) => {
    const { prometheus } = ground
    // As Grafana fills them in, but for a rate over all that the tests above have done.
    const interval = query.replaceAll('$__rate_interval', '10m').replaceAll('$__range', '10m')
    const filled = interval.replaceAll('$job', '.*').replaceAll('$instance', '.*')
    await until(async () => (await prometheus.values(filled)).length > 0)
  })

  test(
    'a demo ends when its IPinfo does, and `up -d` without a key is three replicas with the embedded database',
    async () => {
      const { project, edgeUrl } = ground
      const [fake] = await project.containers('fake-ipinfo')
      await project.docker(['stop', fake?.id ?? ''])
      await until(async () => {
        const answers = await answersOf(edgeUrl, '')
        return answers.every(({ headers }) => headers.get('cache-status')?.includes('detail=offline'))
      }, startTimeoutMs)
      await project.docker(['rm', fake?.id ?? ''])
      await project.compose(['up', '--detach'], startTimeoutMs)
      const answer = await until(async () => {
        const reply = await fetch(`${edgeUrl}/4.2.2.2`)
        return reply.headers.get('cache-status')?.includes('detail=offline') === true && reply
      })
      expect(await answer.json()).toMatchObject({ ip: '4.2.2.2', country: 'US' })
      expect(await project.containers('lookup')).toHaveLength(3)
      await until(async () => (await ground.prometheus.values(ofOfflineData)).length > 0)
      expect((await project.containers()).map(({ service }) => service)).not.toContain('fake-ipinfo')
    },
    2 * startTimeoutMs,
  )

  test(
    'a demo that begins later is one, with each replica',
    async () => {
      const { project, edgeUrl } = ground
      await project.compose(['--profile', 'demo', 'up', '--detach', '--scale', 'lookup=4'], startTimeoutMs)
      await until(async () => (await statusesOf(edgeUrl, '/city')) === '200 from 4', startTimeoutMs)
    },
    2 * startTimeoutMs,
  )

  test('down leaves nothing', async () => {
    const { project } = ground
    const down = project.compose(['--profile', 'demo', 'down', '--volumes'])
    const fault = await down.then(
      () => '',
      ({ cause }: Error) => String(cause),
    )
    const { containers, networks, volumes } = await project.leavings()
    expect(containers).toEqual([])
    // Docker 20.10 may keep a network without containers until it is restarted (moby/moby#43286); Compose ends there.
    const kept = /error while removing network: .* has active endpoints/.exec(fault)?.[0]
    if (kept !== undefined) return void process.stderr.write(`That networks and volumes go is not tested: ${kept}\n`)
    expect({ fault, networks, volumes }).toEqual({ fault: '', networks: [], volumes: [] })
  })

  /** Half of it known addresses, half new ones. */
  function startLoad(): SteadyLoad {
    const [known, fresh] = [freshAddresses(50), freshAddresses(60_000)]
    const addressOf = (number: number): string | undefined =>
      number % 2 === 0 ? known[(number / 2) % known.length] : fresh[(number - 1) / 2]
    return startSteadyLoad({
      clients: 8,
      pauseMs: 10,
      urlOf: (number) => `${ground.edgeUrl}/${addressOf(number)}`,
    })
  }
})

/** Of all replicas, about addresses that were not asked for before. */
function answersOf(edgeUrl: string, field: string): Promise<Response[]> {
  return Promise.all(freshAddresses(16).map((address) => fetch(`${edgeUrl}/${address}${field}`)))
}

/** Of `answersOf`, in words: `200 from 4`. */
async function statusesOf(edgeUrl: string, field: string): Promise<string> {
  const answers = await answersOf(edgeUrl, field)
  const statuses = new Set(answers.map(({ status }) => status))
  const backends = new Set(answers.map(({ headers }) => headers.get('x-backend')))
  return `${[...statuses].join()} from ${backends.size}`
}

interface Inspected {
  readonly Config: { readonly User: string }
  readonly HostConfig: {
    readonly ReadonlyRootfs: boolean
    readonly CapDrop: readonly string[]
    readonly SecurityOpt: readonly string[]
    readonly Memory: number
    readonly NanoCpus: number
    readonly PidsLimit: number
    readonly RestartPolicy: { readonly Name: string }
    readonly PortBindings: Readonly<Record<string, readonly { readonly HostIp: string }[]>> | null
  }
}

/** Published ports of each service that has some. */
async function portsByService(project: ComposeProject): Promise<Record<string, string[]>> {
  const ports: Record<string, string[]> = {}
  for (const { id, service } of await project.containers()) {
    const [inspected]: Inspected[] = JSON.parse(await project.docker(['inspect', id]))
    const published = Object.keys(inspected?.HostConfig.PortBindings ?? {})
    if (published.length > 0) ports[service] = published
  }
  return ports
}

async function fakeStats(project: ComposeProject): Promise<FakeStats> {
  const script = "fetch('http://127.0.0.1:8080/_fake/stats').then(async (r) => process.stdout.write(await r.text()))"
  return JSON.parse(await project.node('fake-ipinfo', script))
}

async function tellFake(project: ComposeProject, control: string, input: object): Promise<void> {
  const body = JSON.stringify(JSON.stringify(input))
  const script = `fetch('http://127.0.0.1:8080/_fake/${control}', { method: 'POST', body: ${body} }).then((r) => process.exit(r.ok ? 0 : 1))`
  await project.node('fake-ipinfo', script)
}

async function reached(load: SteadyLoad, requests: number): Promise<void> {
  await until(() => load.requests >= requests)
}

interface Dashboard {
  readonly panels: readonly {
    readonly title: string
    readonly targets?: readonly { readonly refId: string; readonly expr: string }[]
  }[]
}

function dashboardQueries(): [name: string, query: string][] {
  const file = new URL('../../../services/grafana/dashboards/ipfleet.json', import.meta.url)
  const { panels }: Dashboard = JSON.parse(readFileSync(file, 'utf8'))
  return panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ refId, expr }): [string, string] => [`${title} ${refId}`, expr]),
  )
}
