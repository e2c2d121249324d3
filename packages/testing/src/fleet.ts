import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { startMember, type MemberContext } from './fleet-member.ts'
import { chooseRedisProvider, forcedProvider } from './redis-provider-choice.ts'
import { isPortFree, likelyFreePort } from './service-process-port.ts'
import { lookupEntry } from './service-process.ts'
import { startTestRedis } from './test-redis.ts'

export interface FleetOptions {
  readonly replicas: number
  /** Of the first replica; the others follow. */
  readonly port: number
  /** How many API keys the fake IPinfo knows and the replicas share. */
  readonly keys: number
  /** How long the fake takes over an answer. */
  readonly latencyMs: number
  /** Default: a free one. */
  readonly redisPort?: number
  /** Called with every line that a member writes. */
  readonly print: (member: string, line: string) => void
  /** Other programs in the members' place. */
  readonly replicaEntry?: string
  readonly fakeEntry?: string
}

export interface Fleet {
  readonly replicaUrls: readonly string[]
  readonly redisUrl: string
  /** A sentence about the first member that ended unasked. Pending as long as all live. */
  readonly broken: Promise<string>
  /** Replicas, then the fake, then Redis. */
  stop(): Promise<void>
}

const fakeIpinfoEntry = fileURLToPath(new URL('./fake-ipinfo-main.ts', import.meta.url))

/**
 * Starts Redis, a fake IPinfo and the replicas as processes of this machine. Aborting `signal` stops a start
 * that is under way. Throws when a port is taken or a member does not come up; what had been started is stopped.
 */
export async function startFleet(options: FleetOptions, signal: AbortSignal): Promise<Fleet> {
  const ports = Array.from({ length: options.replicas }, (_, index) => options.port + index)
  await requireFreePorts(options.redisPort === undefined ? ports : [...ports, options.redisPort])
  const { promise: broken, resolve: breakDown } = Promise.withResolvers<string>()
  const cancelled = new AbortController()
  const context = { print: options.print, breakDown, signal: AbortSignal.any([signal, cancelled.signal]) }
  // One list a level: levels are stopped in reverse, the members of a level together.
  const levels: Stop[][] = []
  let redisUrl: string
  try {
    redisUrl = await startRedis(options, context, openLevel(levels))
    const keys = Array.from({ length: options.keys }, (_, index) => `fleet-key-${index + 1}`)
    const fakeUrl = await startFake(options, keys, context, openLevel(levels))
    const level = openLevel(levels)
    const urls = { REDIS_URL: redisUrl, IPINFO_BASE_URL: fakeUrl, IPINFO_API_BASE_URL: `${fakeUrl}/api.ipinfo.io` }
    const env = { ...urls, IPINFO_KEYS: keys.join(',') }
    await Promise.all(ports.map((port, index) => startReplica(options, { port, index, env }, context, level)))
  } catch (error) {
    cancelled.abort()
    await stopLevels(levels)
    throw error
  }
  return {
    replicaUrls: ports.map((port) => `http://localhost:${port}`),
    redisUrl,
    broken,
    stop: () => stopLevels(levels),
  }
}

type Stop = () => Promise<unknown>

function openLevel(levels: Stop[][]): Stop[] {
  const level: Stop[] = []
  levels.push(level)
  return level
}

async function stopLevels(levels: Stop[][]): Promise<void> {
  const level = levels.pop()
  if (level === undefined) return undefined
  await Promise.all(level.map((stop) => stop()))
  return stopLevels(levels)
}

async function requireFreePorts(ports: readonly number[]): Promise<void> {
  const free = await Promise.all(ports.map((port) => isPortFree(port)))
  const taken = ports.filter((_, index) => free[index] === false)
  if (taken.length > 0)
    throw new Error(`already in use: port ${taken.join(', ')}. By whom: ss -ltnp. --port takes others`)
}

async function startRedis(options: FleetOptions, context: MemberContext, level: Stop[]): Promise<string> {
  const { provider } = await chooseRedisProvider(forcedProvider(), { prefer: 'local' })
  context.signal.throwIfAborted()
  const redis = await startTestRedis({
    provider,
    ...(options.redisPort === undefined ? {} : { port: options.redisPort }),
  })
  let stopping = false
  level.push(async () => {
    stopping = true
    await redis.stop()
  })
  context.print('redis', infoLine('listening', { port: redis.port, by: JSON.stringify(provider.description) }))
  // An idle connection ends when the server does, whichever provider runs it.
  const watch = connect({ port: redis.port, host: '127.0.0.1' })
  watch.on('error', () => undefined)
  watch.on('close', () => {
    if (!stopping) context.breakDown('redis ended unexpectedly')
  })
  return redis.url
}

async function startFake(
  options: FleetOptions,
  keys: readonly string[],
  context: MemberContext,
  level: Stop[],
): Promise<string> {
  const port = likelyFreePort()
  const settings = ['--port', String(port), '--host', '127.0.0.1', '--keys', keys.join(',')]
  await startMember(
    {
      name: 'ipinfo',
      entry: options.fakeEntry ?? fakeIpinfoEntry,
      args: [...settings, '--latency-ms', String(options.latencyMs)],
      env: {},
      port,
    },
    { ...context, print: (member, line) => context.print(member, asText(line)) },
    level,
  )
  return `http://127.0.0.1:${port}`
}

/** The fake writes JSON, for programs. Here people read it, beside the text of the replicas. */
function asText(line: string): string {
  try {
    const { msg, ...fields } = JSON.parse(line) as Record<string, unknown>
    return infoLine(String(msg), fields)
  } catch {
    return line
  }
}

/** A line as the replicas write theirs. */
function infoLine(message: string, fields: Readonly<Record<string, unknown>>): string {
  const words = Object.entries(fields).map(([name, value]) => `${name}=${String(value)}`)
  return [new Date().toISOString(), 'INFO ', message, ...words].join(' ')
}

interface ReplicaPlace {
  readonly port: number
  readonly index: number
  readonly env: Readonly<Record<string, string>>
}

function startReplica(
  options: FleetOptions,
  { port, index, env }: ReplicaPlace,
  context: MemberContext,
  level: Stop[],
): Promise<void> {
  return startMember(
    {
      name: `replica-${index + 1}`,
      entry: options.replicaEntry ?? lookupEntry,
      args: [],
      // Nothing stands in front of these replicas, so nobody has to notice that they are about to leave.
      env: { PORT: String(port), HOST: '127.0.0.1', LOG_FORMAT: 'text', DRAIN_MS: '0', ...env },
      port,
    },
    context,
    level,
  )
}
