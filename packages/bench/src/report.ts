import type { BatchReport } from './batch-bench.ts'
import type { BulkReport, ProcessUse } from './bulk-bench.ts'
import type { FleetSeries } from './fleet-bench.ts'
import type { CommandsReport } from './commands-bench.ts'
import type { EdgeReport, PeerRatio } from './edge-bench.ts'
import type { EdgeHashReport } from './edge-hash-bench.ts'
import type { EdgeIdleReport } from './edge-idle-bench.ts'
import type { HitReport } from './hit-bench.ts'
import type { MissReport } from './miss-bench.ts'
import type { OfflineReport } from './offline-bench.ts'
import type { RssReport } from './rss-bench.ts'
import type { ShareReport } from './share-bench.ts'
import type { ZipfReport } from './zipf-bench.ts'
import type { Ratio, Series } from './series.ts'

/** Reports as small tables for a terminal. */

export function hitTable({ load, series, ratio, fromRedis }: HitReport): string {
  const verdict = ratio
    ? `replica / nginx: ${ratioText(ratio)}, wanted: at most 1.00`
    : 'nginx is not installed: nothing to compare with'
  const shared = `from Redis / from memory: ${ratioText(fromRedis)}, wanted: at most 2.00`
  return `${load}\n${seriesTable('hit', series)}\n${verdict}\n${shared}\n`
}

export function zipfTable({ load, wallMs, againstMs, ratio }: ZipfReport): string {
  const theirs = againstMs === undefined ? [] : [['the other build', againstMs.toFixed(0)]]
  const verdict = ratio ? `this build / the other: ${ratioText(ratio)}, wanted: at most 0.50\n` : ''
  return `${load}\n${table([['fleet of', 'ms'], ['this build', wallMs.toFixed(0)], ...theirs])}\n${verdict}`
}

export function missTable({ load, series, peer, waits }: MissReport): string {
  const verdicts = peer
    ? [
        `replica / nginx: ${ratioText(peer.ratio)}, wanted: at most 3.50`,
        `added to nginx: p50 ${peer.addedP50Ms.toFixed(1)} ms, p99 ${peer.addedP99Ms.toFixed(1)} ms, wanted: at most 1 and 6`,
      ]
    : ['nginx is not installed: nothing to compare with']
  const { beforeUpstream, inAll } = waits
  const waited = `waits for Redis: ${beforeUpstream} before upstream is asked, ${inAll} in all, wanted: at most 2 and 3`
  return `${[load, seriesTable('load', series), ...verdicts, waited].join('\n')}\n`
}

export function edgeTable({ load, series, ratios, missing, logging }: EdgeReport): string {
  const others = series.map(({ server }) => server).filter((server) => !logging.includes(server))
  const notes = [
    `an access log is written by ${logging.join(', ')}, and not by ${others.join(', ')}`,
    ...missing.map((peer) => `${peer} is not installed and left out`),
  ]
  return `${[load, seriesTable('request', series), ...ratios.map(verdictOn), ...notes].join('\n')}\n`
}

export function edgeIdleTable({ connections, bytes }: EdgeIdleReport): string {
  const rows = [
    ['after start', megabytes(bytes.atStart)],
    [`with ${connections} idle connections`, megabytes(bytes.withConnections)],
  ]
  return `${table([['edge', 'RSS MB'], ...rows])}\nwanted: at most 150 MB\n`
}

export function edgeHashTable({ load, series }: EdgeHashReport): string {
  const rows = series.map(({ exponent, roundRobin, hash }) => [
    `s = ${exponent}`,
    percent(roundRobin),
    percent(hash),
    (hash / roundRobin).toFixed(2),
  ])
  return `${load}\n${table([['Zipf', 'L1 % round-robin', 'L1 % hash', 'hash / round-robin'], ...rows])}\n`
}

export function shareTable({ load, series }: ShareReport): string {
  const rows = series.map(({ server, flood, aloneP99Ms, floodedP99Ms, ratio, errors, peakBytes, kills }) => [
    server,
    flood,
    aloneP99Ms.toFixed(1),
    floodedP99Ms.toFixed(1),
    ratio.toFixed(2),
    String(errors),
    peakBytes === undefined ? '' : megabytes(peakBytes),
    kills === undefined ? 'not limited' : String(kills),
  ])
  const head = [
    'server',
    'flood of one client',
    'p99 ms without',
    'p99 ms with',
    'ratio',
    'errors',
    'peak MB',
    'killed',
  ]
  return `${load}\n${table([head, ...rows])}\nwanted: at most 3.00, no error, and never killed (256 MB, where control groups can be made)\n`
}

export function rssTable({ entries, connections, flags, bytes }: RssReport): string {
  const rows = [
    ['after start', megabytes(bytes.atStart), '105'],
    [`with ${entries} entries`, megabytes(bytes.withEntries), '150'],
    [`and ${connections} idle connections`, megabytes(bytes.withConnections), '220'],
  ]
  return `node ${flags.join(' ')}\n${table([['replica', 'RSS MB', 'wanted'], ...rows])}\n`
}

export function offlineTable({ addresses, shares, residentBytes, startedMs }: OfflineReport): string {
  const rows = Object.entries(shares).map(([name, { country, network }]) => [
    name,
    `${percent(country)} %`,
    `${percent(network)} %`,
  ])
  const costs = `RSS ${megabytes(residentBytes)} MB, first answer after ${Math.round(startedMs)} ms`
  return `${table([[`${addresses} each`, 'country', 'AS number and name'], ...rows])}\na replica without keys: ${costs}\n`
}

const redisCost = ({ commands, cpuMicros }: FleetSeries['herd']): string =>
  `${commands.toFixed(1)}, ${cpuMicros.toFixed(0)} µs`

export function fleetTable({ series }: { readonly series: readonly FleetSeries[] }): string {
  const head = [
    'replicas',
    'look-ups',
    'upstream calls per address',
    'calls with each key',
    'commands, CPU of Redis per',
  ]
  const rows = series.map((one) => [
    String(one.replicas),
    String(one.lookups),
    (one.upstreamCalls / one.distinct).toFixed(3),
    one.byKey.join(' '),
    `look-up that waits: ${redisCost(one.herd)}; answer: ${redisCost(one.read)}`,
    one.messagesSentOn.toFixed(1),
    one.connectionsPerReplica.toFixed(1),
  ])
  return `${table([[...head, 'messages sent on per call', 'connections per replica'], ...rows])}\n`
}

export function commandsTable({ hit, miss }: CommandsReport): string {
  const rows = [
    ['answer from Redis', hit.perRequest.toFixed(2), '1', commandsText(hit.byName)],
    ['cold miss', miss.perRequest.toFixed(2), '8', commandsText(miss.byName)],
  ]
  return `${table([['request', 'commands', 'at most', 'which'], ...rows])}\n`
}

export function batchTable({ load, series }: BatchReport): string {
  const rows = series.map(({ source, itemsPerSecond, cpuUsPerItem: { replica, redis, upstream }, ...times }) => [
    source,
    Math.round(itemsPerSecond).toString(),
    ...[replica, redis, upstream].map((each) => each.toFixed(1)),
    times.msPerBatch.toFixed(1),
    times.liveP99Ms.toFixed(1),
  ])
  const head = ['served from', 'items/s', 'replica CPU µs/item', 'Redis', 'upstream', 'ms/batch', 'live p99 ms']
  return `${load}\n${table([head, ...rows])}\n`
}

export function bulkTable({
  load,
  linesPerSecond,
  seconds,
  asked,
  distinct,
  malformed,
  processes,
  live,
}: BulkReport): string {
  const facts = [
    load,
    `${Math.round(linesPerSecond)} lines/s (${seconds.toFixed(1)} s), wanted: at least 10000; every line has its result, in order`,
    `upstream was asked for ${asked} addresses; there are ${distinct} different ones, and ${malformed} lines without one`,
    table([['process', 'peak MB', 'CPU µs/line'], ...processes.map(processRow)]),
    'wanted: at most 250 MB each',
  ]
  if (live === undefined) return `${facts.join('\n')}\n`
  const rows = Object.entries(live).map(([when, { requests, errors, p50Ms, p99Ms }]) => [
    when,
    String(requests),
    String(errors),
    p50Ms.toFixed(1),
    p99Ms.toFixed(1),
  ])
  const ratio = (live.during.p99Ms / live.idle.p99Ms).toFixed(2)
  const liveTable = table([['live look-ups', 'requests', 'errors', 'p50 ms', 'p99 ms'], ...rows])
  return `${[...facts, liveTable, `p99 during / idle: ${ratio}, wanted: at most 2.00`].join('\n')}\n`
}

function processRow({ name, peakBytes, cpuUsPerLine }: ProcessUse): string[] {
  return [name, megabytes(peakBytes), cpuUsPerLine?.toFixed(1) ?? '']
}

function seriesTable(unit: string, series: readonly Series[]): string {
  const rows = series.map(({ server, cpuUsPerRequest, range, requests, errors, p99Us }) => [
    server,
    cpuUsPerRequest.toFixed(2),
    rangeText(range),
    String(requests),
    String(errors),
    (p99Us / 1000).toFixed(1),
  ])
  return table([['server', `CPU µs/${unit}`, 'range', `${unit}s`, 'errors', 'p99 ms'], ...rows])
}

function verdictOn({ peer, atMost, ...ratio }: PeerRatio): string {
  const verdict = `edge / ${peer}: ${ratioText(ratio)}`
  return atMost === undefined ? verdict : `${verdict}, wanted: at most ${atMost.toFixed(2)}`
}

export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')
  return rows.map((row) => line(row).trimEnd()).join('\n')
}

const rangeText = ([least, most]: readonly [number, number]): string => `${least.toFixed(2)} to ${most.toFixed(2)}`
export const ratioText = ({ median, range }: Ratio): string => `${median.toFixed(2)} (${rangeText(range)})`
const percent = (share: number): string => (share * 100).toFixed(1)
export const megabytes = (bytes: number): string => (bytes / 1024 / 1024).toFixed(1)
const commandsText = (byName: Readonly<Record<string, number>>): string =>
  Object.entries(byName)
    .map(([name, count]) => `${name} ${count.toFixed(2)}`)
    .join(', ')
