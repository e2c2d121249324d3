import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import { edgeCommand } from './edge-server.ts'
import { haproxyCommand } from './haproxy-server.ts'
import { httpProxyCommand } from './http-proxy-server.ts'
import { loadGenerator } from './load.ts'
import { type MeasuredServer, type ServerCommand, startMeasured } from './measured-server.ts'
import { nginxProxyCommand } from './nginx-proxy.ts'
import { originCommand } from './origin-server.ts'
import { loadText, type RoundsOptions, takeTurns, warmUp } from './rounds.ts'
import { type Ratio, ratioOf, type Round, type Series, seriesOf } from './series.ts'
import { manyTargets } from './targets.ts'

export interface EdgeOptions extends RoundsOptions {
  /** How many different paths are asked for in turn. */
  readonly entries: number
  /** Of each answer. */
  readonly bodyBytes: number
  /** Processes of the edge and of nginx, threads of HAProxy. */
  readonly workers: number
  /** Has the edge limit its clients, in a Redis of its own. */
  readonly withLimit: boolean
  readonly nodeFlags: readonly string[]
  readonly nginxLogBuffer: string | undefined
  /** Whether HAProxy writes an access log, as the edge and nginx do. */
  readonly haproxyLog: boolean
}

/** The edge next to one peer. */
export interface PeerRatio extends Ratio {
  readonly peer: string
  /** Undefined where nothing is promised. */
  readonly atMost: number | undefined
}

export interface EdgeReport {
  readonly load: string
  readonly series: readonly Series[]
  readonly ratios: readonly PeerRatio[]
  /** Peers that are not installed. */
  readonly missing: readonly string[]
  /** Servers that write an access log. */
  readonly logging: readonly string[]
}

const wanted: Readonly<Record<string, number>> = { haproxy: 2.2, 'http-proxy-3': 0.75 }

/** CPU time per proxied GET, next to other reverse proxies in front of the same origin. */
export async function benchEdge(options: EdgeOptions): Promise<EdgeReport> {
  const { bodyBytes, workers, connections, withLimit, nodeFlags } = options
  await using opened = new AsyncDisposableStack()
  const origin = opened.use(await startMeasured(originCommand(bodyBytes)))
  const redis = withLimit ? await startTestRedis() : undefined
  opened.defer(() => redis?.stop())
  const env = redis && { REDIS_URL: redis.url }
  const edge = edgeCommand({ backends: [origin.url], workers, connections, withLimit, nodeFlags, ...(env && { env }) })
  const { installed, missing } = peersOf(origin, options)
  const servers: MeasuredServer[] = []
  for (const command of [edge, ...installed]) servers.push(opened.use(await startMeasured(command)))
  const traffic = { generator: loadGenerator(), targets: manyTargets(options.entries) }
  await requireSameAnswers(origin, servers)
  await warmUp(servers, traffic, options)
  const rounds = await takeTurns(servers, traffic, options)
  const names = servers.map(({ name }) => name)
  const limit = withLimit ? ', the edge with a limit' : ''
  return {
    load: `${loadText(traffic, options)}, ${bodyBytes} bytes from ${origin.name}, workers: ${workers}${limit}`,
    series: names.map((name, index) => seriesOf(name, rounds[index] ?? [])),
    ratios: ratiosOf(names, rounds),
    missing,
    logging: ['edge', 'nginx', ...(options.haproxyLog ? ['haproxy'] : [])].filter((name) => names.includes(name)),
  }
}

interface Peers {
  readonly installed: readonly ServerCommand[]
  readonly missing: readonly string[]
}

function peersOf({ port, url }: MeasuredServer, options: EdgeOptions): Peers {
  const { workers, connections, nginxLogBuffer, haproxyLog } = options
  const peers = {
    haproxy: haproxyCommand({ originPort: port, threads: workers, connections, withLog: haproxyLog }),
    nginx: nginxProxyCommand({ originPort: port, workers, connections, logBuffer: nginxLogBuffer }),
    'http-proxy-3': httpProxyCommand(url),
  }
  return {
    installed: Object.values(peers).filter((peer) => peer !== undefined),
    missing: Object.entries(peers).flatMap(([name, peer]) => (peer === undefined ? [name] : [])),
  }
}

/** What answers something else is not measured. */
async function requireSameAnswers(origin: MeasuredServer, servers: readonly MeasuredServer[]): Promise<void> {
  const expected = await answerOf(origin)
  for (const server of servers) {
    const answer = await answerOf(server)
    if (answer !== expected) throw new Error(`${server.name} does not answer as the origin does: ${answer}`)
  }
}

async function answerOf({ url }: MeasuredServer): Promise<string> {
  const response = await fetch(url)
  return `${response.status} ${response.headers.get('content-type')} ${await response.text()}`
}

function ratiosOf([, ...peers]: readonly string[], [ours = [], ...theirs]: readonly Round[][]): PeerRatio[] {
  return peers.map((peer, index) => ({ peer, atMost: wanted[peer], ...ratioOf(ours, theirs[index] ?? []) }))
}
