import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import { networkNamespace, whyNoNamespaces } from './network-namespace.ts'
import { RecordingOrigin } from './recording-origin.ts'
import { SilentListener } from './silent-listener.ts'
import { type RunningEgress, startEgress } from './start-egress.ts'
import { askThrough, type Reply, tunnelThrough } from './through.ts'

/** What takes an address out of the rotation, and what does not. */

const pool = ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5']
/** A target that answers is not taken for silent on a busy machine. */
const often = { HEALTH_CHECK_INTERVAL_SECONDS: '0.1', HEALTH_CHECK_TIMEOUT_MS: '20000' } as const
const opened: (() => unknown)[] = []
let origin: RecordingOrigin

beforeAll(async () => {
  origin = await RecordingOrigin.start()
})
beforeEach(() => origin.forget())
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close()
})
afterAll(() => origin[Symbol.asyncDispose]())

async function proxy(more: Readonly<Record<string, string>> = {}): Promise<RunningEgress> {
  const egress = await startEgress({ IP_POOL: pool.join(), ALLOW_TARGETS: 'loopback', ...more })
  opened.push(() => egress.stop())
  return egress
}

async function askOften({ port }: RunningEgress, url: string, count: number): Promise<Reply[]> {
  const replies: Reply[] = []
  for (let turn = 0; turn < count; turn += 1) replies.push(await askThrough(port, url))
  return replies
}

/** The addresses that so many requests left from, each once. */
async function usedBy(egress: RunningEgress, url: string, count = 12): Promise<string[]> {
  const replies = await askOften(egress, url, count)
  return [...new Set(replies.map(({ headers }) => String(headers['x-egress-ip'])))].toSorted()
}

function linesOf(egress: RunningEgress, message: string): unknown[] {
  return egress.lines().filter(({ msg }) => msg === message)
}

const why = await whyNoNamespaces()
if (why !== undefined) process.stdout.write(`Addresses are not taken away from interfaces: ${why}\n`)
const inNamespace = why === undefined ? test : test.skip

inNamespace(
  'an address that an interface loses leaves the rotation without a failed request, and returns',
  async () => {
    const namespace = await networkNamespace()
    opened.push(() => namespace.close())
    await namespace.ip('link', 'set', 'lo', 'up')
    for (const address of ['192.0.2.1/32', '192.0.2.2/32']) await namespace.ip('addr', 'add', address, 'dev', 'lo')
    const program = await namespace.run(new URL('fixture-busy-egress.ts', import.meta.url), '192.0.2.1,192.0.2.2')
    await program.line('used: 192.0.2.1 192.0.2.2')
    await namespace.ip('addr', 'del', '192.0.2.1/32', 'dev', 'lo')
    await program.line('source address is out 192.0.2.1 not_ours')
    await program.line('used: 192.0.2.2')
    await namespace.ip('addr', 'add', '192.0.2.1/32', 'dev', 'lo')
    await program.line('source address is back 192.0.2.1')
    await program.line('used: 192.0.2.1 192.0.2.2')
  },
)

inNamespace(
  'what is under way from an address that an interface loses ends at once, or leaves from another',
  async () => {
    const namespace = await networkNamespace()
    opened.push(() => namespace.close())
    await namespace.ip('link', 'set', 'lo', 'up')
    for (const address of ['192.0.2.1/32', '192.0.2.2/32']) await namespace.ip('addr', 'add', address, 'dev', 'lo')
    const program = await namespace.run(new URL('fixture-lost-source.ts', import.meta.url), '192.0.2.1', '192.0.2.2')
    await program.line('all are under way')
    for (const path of ['/get', '/head', '/delete', '/upgrade', '/put']) {
      await program.line(`${path}: 200 from 192.0.2.2`)
    }
    const gone = 'details="the source address is gone"'
    await program.line(`post: 502 ipfleet-egress; error=connection_terminated; ${gone}`)
    await program.line(`put that is sent: 502 ipfleet-egress; error=connection_terminated; ${gone}`)
    await program.line(`get with half a head: 502 ipfleet-egress; error=http_response_incomplete; ${gone}`)
    await program.line(`hard session: 502 ipfleet-egress; error=connection_terminated; ${gone}`)
    for (const name of ['answering', 'tunnel', 'switched']) await program.line(new RegExp(`^${name}: (closed|reset)$`))
    await program.line('the tunnel from the other address is open')
  },
)

describe('a dead target benches nothing', () => {
  test('that refuses, while another port of the same host answers', async () => {
    const egress = await proxy()
    const closed = await RecordingOrigin.start()
    const { authority, url } = closed
    await closed[Symbol.asyncDispose]()
    // By turns, so that two addresses meet the dead port only, and the other two the live one.
    for (let turn = 0; turn < 16; turn += 1) {
      const dead = turn % 4 < 2 ? await tunnelThrough(egress.port, authority) : await askThrough(egress.port, url)
      const live = await askThrough(egress.port, origin.url)
      expect([dead.status, live.status]).toEqual([502, 200])
      expect(dead.headers['proxy-status']).toBe('ipfleet-egress; error=connection_refused; details="ECONNREFUSED"')
    }
    expect(await usedBy(egress, origin.url)).toEqual(pool)
    expect(linesOf(egress, 'source address is refused by a site')).toEqual([])
    expect(linesOf(egress, 'source address is out')).toEqual([])
  })

  test('that is silent', async () => {
    const silent = await SilentListener.start('127.0.0.1')
    opened.push(() => silent.stop())
    const egress = await proxy({ CONNECT_TIMEOUT_MS: '1500' })
    const dead = Array.from({ length: 16 }, () => tunnelThrough(egress.port, `127.0.0.1:${silent.port}`))
    for (const { status, headers } of await Promise.all(dead)) {
      expect([status, headers['proxy-status']]).toEqual([504, expect.stringContaining('error=connection_timeout')])
    }
    expect(await usedBy(egress, origin.url)).toEqual(pool)
    expect(linesOf(egress, 'source address is refused by a site')).toEqual([])
  })

  test('that is the one of the checks', async () => {
    const egress = await proxy({ HEALTH_CHECK_URL: 'tcp://127.0.0.1:1', ...often })
    const others = await proxy({ HEALTH_CHECK_URL: origin.url, ...often })
    await until(() => origin.arrivals.length > 5 * pool.length)
    expect(await usedBy(egress, origin.url)).toEqual(pool)
    expect(await usedBy(others, origin.url)).toEqual(pool)
  })
})

test('an address from which the target of the checks is not reached goes out, and returns', async () => {
  let refused: string | undefined = '127.0.0.4'
  await using checked = await RecordingOrigin.start()
  checked.answer = (req, res) => res.writeHead(req.socket.remoteAddress === refused ? 503 : 204).end()
  const egress = await proxy({ HEALTH_CHECK_URL: checked.url, ...often })
  await egress.waitForLine(({ msg, source }) => msg === 'source address is out' && source === refused)
  expect(await usedBy(egress, origin.url)).toEqual(pool.filter((address) => address !== refused))
  refused = undefined
  await egress.waitForLine(({ msg }) => msg === 'source address is back')
  expect(await usedBy(egress, origin.url)).toEqual(pool)
})

describe('a site that answers 403 to one address', () => {
  const blocked = '127.0.0.3'
  const others = pool.filter((address) => address !== blocked)
  let redis: TestRedis
  let site: RecordingOrigin
  let elsewhere: RecordingOrigin
  beforeAll(async () => {
    redis = await startTestRedis()
    site = await RecordingOrigin.start()
    site.answer = (req, res) => res.writeHead(req.socket.remoteAddress === blocked ? 403 : 200).end()
    elsewhere = await RecordingOrigin.start({ host: '127.0.0.9' })
  })
  afterAll(async () => {
    await redis.stop()
    await Promise.all([site[Symbol.asyncDispose](), elsewhere[Symbol.asyncDispose]()])
  })

  test('is not asked from it any more by any of the fleet, and other sites are', async () => {
    const fleet = await Promise.all([proxy({ REDIS_URL: redis.url }), proxy({ REDIS_URL: redis.url })])
    const replies = await askOften(fleet[0], site.url, 20)
    expect(replies.filter(({ status }) => status === 403)).toHaveLength(3)
    await Promise.all(
      fleet.map((egress) =>
        egress.waitForLine(
          ({ msg, source, site: name }) =>
            msg === 'source address is refused by a site' && source === blocked && name === site.authority,
        ),
      ),
    )
    for (const egress of fleet) {
      expect(await usedBy(egress, site.url)).toEqual(others)
      expect(await usedBy(egress, elsewhere.url)).toEqual(pool)
    }
  })

  test('is asked from it again after SITE_BENCH_SECONDS', async () => {
    const egress = await proxy({ SITE_BENCH_SECONDS: '1' })
    await askOften(egress, site.url, 16)
    await egress.waitForLine(({ msg }) => msg === 'source address is refused by a site')
    await until(async () => (await usedBy(egress, site.url)).includes(blocked))
  })
})

describe('when all addresses are out', () => {
  test('requests and tunnels get 503 and are told when to come again', async () => {
    const egress = await proxy({ IP_POOL: '192.0.2.77,192.0.2.78', HEALTH_CHECK_INTERVAL_SECONDS: '30' })
    await until(() => linesOf(egress, 'source address is out').length === 2)
    const replies = [await askThrough(egress.port, origin.url), await tunnelThrough(egress.port, origin.authority)]
    for (const { status, headers, body } of replies) {
      expect([status, headers['proxy-status']]).toEqual([503, 'ipfleet-egress; error=connection_limit_reached'])
      expect(Number(headers['retry-after'])).toBeGreaterThan(0)
      expect(Number(headers['retry-after'])).toBeLessThanOrEqual(33)
      expect(headers['content-type']).toMatch(/^application\/json/)
      expect(JSON.parse(body)).toMatchObject({ status: 503, error: { title: 'No source address available' } })
    }
    expect(await egress.metrics()).toContain('\nipfleet_egress_source_up{source="192.0.2.77"} 0\n')
    expect(origin.connections).toBe(0)
  })

  test('a target of a family that the pool lacks is unreachable, which is nobody’s fault', async () => {
    const { port } = await proxy()
    const { status, headers } = await tunnelThrough(port, '[::1]:9999')
    expect([status, headers['proxy-status']]).toEqual([
      502,
      'ipfleet-egress; error=destination_ip_unroutable; details="no source address of that family"',
    ])
  })
})
