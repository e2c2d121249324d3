import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type ServiceProcess, startService } from '@ipfleet/testing/service-process.ts'
import { temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { RespClient } from '@ipfleet/testing/resp-client.ts'
import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import { fakeEntry } from './fake-upstream.ts'
import { bulkLine, type BulkLines, writeBulkLines } from './bulk-lines.ts'
import { edgeCommand } from './edge-server.ts'
import { memoryFlags } from '@ipfleet/testing/memory-flags.ts'
import { compileCache, type MeasuredServer, replicaCommand, startMeasured } from './measured-server.ts'
import { pacedLoad, type PacedReport } from './paced-load.ts'
import { cpuTimeUs, peakBytes } from './proc-stats.ts'
import { warm } from './targets.ts'

export interface BulkBenchOptions extends BulkLines {
  readonly replicas: number
  /** That upstream takes over an answer. */
  readonly latencyMs: number
  /** Live look-ups a second, through the edge; 0: none. */
  readonly livePerSecond: number
  readonly progress: (line: string) => void
}

export interface BulkReport {
  readonly load: string
  readonly linesPerSecond: number
  /** From the first line of the input to the last one of the results. */
  readonly seconds: number
  /** Addresses that upstream was asked for, and different ones in the list and among the live look-ups. */
  readonly asked: number
  readonly distinct: number
  readonly malformed: number
  readonly processes: readonly ProcessUse[]
  /** Before the job, and beside it; undefined without live look-ups. */
  readonly live: { readonly idle: PacedReport; readonly during: PacedReport } | undefined
}

export interface ProcessUse {
  readonly name: string
  /** Most memory that it has had. */
  readonly peakBytes: number
  /** CPU time for each line of the list; undefined where it is not known. */
  readonly cpuUsPerLine: number | undefined
}

const bulkEntry = fileURLToPath(new URL('../../../services/bulk/src/main.ts', import.meta.url))
const commandEntry = fileURLToPath(new URL('../../../packages/cli/src/ipfleet.ts', import.meta.url))
const keys = ['bench-key-1', 'bench-key-2']
const idleSeconds = 10
/** Addresses that live clients ask for again and again. */
const liveTargets = Array.from({ length: 200 }, (_, at) => `/12.0.0.${at}`)

/** A list through the command line, the edge and the bulk service, with upstream and all on this machine. */
export async function benchBulk(options: BulkBenchOptions): Promise<BulkReport> {
  await using opened = new AsyncDisposableStack()
  const { progress, lines, distinct, latencyMs, livePerSecond, replicas } = options
  const folder = await temporaryFolder('bench-bulk')
  opened.defer(() => folder.remove())
  const input = join(folder.path, 'ips.txt')
  const output = join(folder.path, 'out.ndjson')
  const list = await writeBulkLines(input, { lines, distinct })
  progress(`${lines} lines, ${list.addresses} different addresses`)

  const ground = await startGround({ replicas, latencyMs }, opened)
  const live = livePerSecond > 0 ? await liveLoad(ground.edge.url, livePerSecond, progress) : undefined
  const before = await usedUnits(ground.fake)
  const cpuBefore = ground.processes.map(({ pid }) => cpuTimeUs(pid))
  const startedMs = performance.now()
  const command = await run(input, output, ground.edge.url, progress)
  const seconds = (performance.now() - startedMs) / 1000
  const during = await live?.end()
  await checkLines(output, { lines, distinct })
  return {
    load: `${lines} lines through the edge, ${replicas} replicas, upstream answers after ${latencyMs} ms`,
    linesPerSecond: lines / seconds,
    seconds,
    asked: (await usedUnits(ground.fake)) - before,
    distinct: list.addresses,
    malformed: list.malformed,
    processes: [
      { name: 'command', peakBytes: command.peakBytes, cpuUsPerLine: undefined },
      ...ground.processes.map(({ name, pid }, at) => ({
        name,
        peakBytes: peakBytes(pid) ?? Number.NaN,
        cpuUsPerLine: (cpuTimeUs(pid) - (cpuBefore[at] ?? 0)) / lines,
      })),
      ...(await ground.redisUse()),
    ],
    live: live && during && { idle: live.idle, during },
  }
}

/** Live look-ups, measured for some seconds before anything else happens, and then until they are ended. */
async function liveLoad(url: string, perSecond: number, progress: (line: string) => void) {
  await warm(url, liveTargets)
  const load = { url, targets: liveTargets, perSecond }
  // Once for nothing: what is hot gets compiled.
  await pacedLoad(load, AbortSignal.timeout(3000))
  const idle = await pacedLoad(load, AbortSignal.timeout(idleSeconds * 1000))
  progress(`live look-ups without a job: p99 ${idle.p99Ms.toFixed(1)} ms`)
  const ended = new AbortController()
  const during = pacedLoad(load, ended.signal)
  return {
    idle,
    end: () => {
      ended.abort()
      return during
    },
  }
}

interface Ground {
  readonly edge: MeasuredServer
  readonly fake: ServiceProcess
  readonly processes: readonly { readonly name: string; readonly pid: number }[]
  redisUse(): Promise<ProcessUse[]>
}

async function startGround(
  { replicas, latencyMs }: Pick<BulkBenchOptions, 'replicas' | 'latencyMs'>,
  opened: AsyncDisposableStack,
): Promise<Ground> {
  const redis = await startTestRedis({ args: ['--appendonly', 'yes'] })
  opened.defer(() => redis.stop())
  const cache = await startTestRedis()
  opened.defer(() => cache.stop())
  const args = ['--port', '0', '--max-calls', '100', '--keys', keys.join(','), '--latency-ms', String(latencyMs)]
  const fake = await startService({ entry: fakeEntry, args, name: 'fake IPinfo' })
  opened.defer(async () => void (await fake.stop()))
  const env = {
    IPINFO_KEYS: keys.join(','),
    IPINFO_BASE_URL: fake.url,
    IPINFO_API_BASE_URL: `${fake.url}/api.ipinfo.io`,
    REDIS_URL: redis.url,
    REDIS_CACHE_URL: cache.url,
    // A machine whose every core is at work answers late; who then goes on without Redis asks upstream twice.
    REDIS_TIMEOUT_MS: '1000',
    DRAIN_MS: '0',
  }
  const lookups: MeasuredServer[] = []
  for (let count = 0; count < replicas; count += 1) lookups.push(opened.use(await startMeasured(replicaCommand(env))))
  const bulk = opened.use(
    await startMeasured({
      name: 'bulk',
      command: process.execPath,
      args: () => [...memoryFlags, bulkEntry],
      env: (port) => ({
        PORT: String(port),
        REDIS_URL: redis.url,
        // Each process asks one replica; with several, all are asked.
        LOOKUP_URL: lookups[0]?.url ?? '',
        LOG_FORMAT: 'json',
        DRAIN_MS: '0',
        NODE_COMPILE_CACHE: compileCache,
      }),
    }),
  )
  const tables = `
[groups.bulk]
backends = ["${bulk.url}"]

[[routes]]
prefix = "/jobs"
upstreams = "bulk"
max_body_bytes = 0
`
  const edge = opened.use(await startMeasured(edgeCommand({ backends: lookups.map(({ url }) => url), tables })))
  const processes = [...lookups, bulk, edge, { name: 'fake IPinfo', pid: fake.pid }]
  return {
    edge,
    fake,
    processes,
    redisUse: async () => [
      { name: 'Redis (state)', peakBytes: await usedPeak(redis.url), cpuUsPerLine: undefined },
      { name: 'Redis (cache)', peakBytes: await usedPeak(cache.url), cpuUsPerLine: undefined },
    ],
  }
}

/** Runs the command to its end. @throws with what it wrote when it fails */
async function run(input: string, output: string, url: string, progress: (line: string) => void) {
  const child = spawn(process.execPath, [commandEntry, 'bulk', input, '-o', output, '--url', url, '--json'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let peak = 0
  const look = setInterval(() => (peak = Math.max(peak, peakBytes(child.pid ?? 0) ?? 0)), 100)
  const written: string[] = []
  for await (const line of createInterface(child.stderr)) {
    written.push(line)
    progress(line)
  }
  clearInterval(look)
  if (child.exitCode === null) await once(child, 'exit')
  if (child.exitCode !== 0)
    throw new Error(`the command ended with ${child.exitCode}:\n${written.slice(-5).join('\n')}`)
  return { peakBytes: peak }
}

/** @throws when a line of the results is not about its input */
async function checkLines(output: string, list: BulkLines): Promise<void> {
  let at = 0
  for await (const line of createInterface(createReadStream(output))) {
    const { input } = JSON.parse(line) as { input: string }
    if (input !== bulkLine(at, list)) throw new Error(`line ${at + 1} is about ${input}`)
    at += 1
  }
  if (at !== list.lines) throw new Error(`${at} lines came of ${list.lines}`)
}

/** Of all keys, by what their accounts say. */
async function usedUnits({ url }: ServiceProcess): Promise<number> {
  const used = keys.map(async (key) => {
    const response = await fetch(`${url}/me?token=${key}`)
    const { requests } = (await response.json()) as { requests: { month: number } }
    return requests.month
  })
  return (await Promise.all(used)).reduce((sum, one) => sum + one, 0)
}

/** What a Redis has used at most for its data. */
async function usedPeak(url: string): Promise<number> {
  const client = await RespClient.connect(url)
  const info = String(await client.call('INFO', 'memory'))
  client.close()
  return Number(/used_memory_peak:(\d+)/.exec(info)?.[1])
}
