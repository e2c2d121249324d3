import type { BulkReport } from './bulk-bench.ts'
import type { EdgeReport } from './edge-bench.ts'
import type { EgressReport, RateReport } from './egress-bench.ts'
import type { HitReport } from './hit-bench.ts'
import type { MissReport } from './miss-bench.ts'
import { megabytes, ratioText } from './report.ts'
import type { RssReport } from './rss-bench.ts'
import type { ZipfReport } from './zipf-bench.ts'

/** A row of README's table: what was measured, next to what (empty: next to nothing), and what came out. */
export type ReadmeRow = readonly [what: string, peer: string, result: string]

const nginxIsMissing = 'not measured: nginx is not installed'

export function hitRows({ ratio, fromRedis }: HitReport): ReadmeRow[] {
  const result = ratio ? ratioText(ratio) : nginxIsMissing
  return [
    ['an answer from a replica’s memory, with an access log', 'nginx `proxy_cache`', result],
    ['an answer from Redis', 'one from memory', ratioText(fromRedis)],
  ]
}

export function zipfRows({ load, wallMs, ratio }: ZipfReport): ReadmeRow[] {
  const what = `a fresh fleet: ${load}`
  if (ratio) return [[what, 'an older build', ratioText(ratio)]]
  return [[what, '', `${(wallMs / 1000).toFixed(1)} s`]]
}

export function missRows({ peer, waits }: MissReport, latencyMs: number): ReadmeRow[] {
  const added = peer && `p50 ${peer.addedP50Ms.toFixed(1)} ms, p99 ${peer.addedP99Ms.toFixed(1)} ms`
  return [
    [
      `a look-up that is asked of upstream (${latencyMs} ms), with Redis`,
      'nginx `proxy_cache` miss',
      peer ? ratioText(peer.ratio) : nginxIsMissing,
    ],
    ['what a client waits longer for it', 'nginx `proxy_cache` miss', added ?? nginxIsMissing],
    ['how often it waits for Redis', '', `${waits.beforeUpstream} before upstream is asked, ${waits.inAll} in all`],
  ]
}

export function rssRows({ entries, connections, flags, bytes }: RssReport): ReadmeRow[] {
  const { atStart, withEntries, withConnections } = bytes
  const what = `memory of a replica after its start, with ${entries} entries, and with ${connections} idle connections`
  const result = [atStart, withEntries, withConnections].map((each) => megabytes(each)).join(', ')
  return [[`${what} (\`node ${flags.join(' ')}\`)`, '', `${result} MB`]]
}

export function edgeRows({ ratios, missing, logging }: EdgeReport): ReadmeRow[] {
  const what = 'a GET through the edge, with an access log'
  const named = (peer: string): string => `${peer}, ${logging.includes(peer) ? 'with one' : 'without one'}`
  return [
    ...ratios.map(({ peer, ...ratio }): ReadmeRow => [what, named(peer), ratioText(ratio)]),
    ...missing.map((peer): ReadmeRow => [what, peer, 'not measured: it is not installed']),
  ]
}

export function egressRows({ connects, stream, idle, tunnels, missing }: EgressReport): ReadmeRow[] {
  const memory = idle.map(({ server, before, withTunnels }): ReadmeRow => {
    const kilobytes = ((withTunnels - before) / tunnels / 1024).toFixed(1)
    return [`memory of an idle tunnel: ${server}`, '', `${kilobytes} KB`]
  })
  return [
    ...rateRows(connects, 'tunnels a second through the egress, which logs them and takes its addresses in turn'),
    ...rateRows(stream, 'throughput of one tunnel'),
    ...memory,
    ...missing.map((peer): ReadmeRow => ['tunnels', peer, 'not measured: it is not installed, or does not start']),
  ]
}

function rateRows({ ratios }: RateReport, what: string): ReadmeRow[] {
  return ratios.map(({ peer, ...ratio }) => [what, peer, ratioText(ratio)])
}

export function bulkRows({ linesPerSecond, asked, distinct, processes, live }: BulkReport, lines: number): ReadmeRow[] {
  const peak = megabytes(Math.max(...processes.map(({ peakBytes }) => peakBytes)))
  const speed = `${Math.round(linesPerSecond)} lines/s, at most ${peak} MB a process, ${asked} addresses asked of upstream`
  const what = 'p99 of live look-ups while the job runs'
  return [
    [`a job of ${lines} lines with ${distinct} different addresses`, '', speed],
    ...(live ? [[what, 'without the job', (live.during.p99Ms / live.idle.p99Ms).toFixed(2)] as const] : []),
  ]
}
