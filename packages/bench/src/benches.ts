import { benchBatch } from './batch-bench.ts'
import type { BenchArguments } from './bench-arguments.ts'
import { benchBulk } from './bulk-bench.ts'
import { benchCommands } from './commands-bench.ts'
import { benchEdge } from './edge-bench.ts'
import { benchEdgeHash } from './edge-hash-bench.ts'
import { benchEdgeIdle } from './edge-idle-bench.ts'
import { benchEgress } from './egress-bench.ts'
import { benchHit } from './hit-bench.ts'
import { benchMiss } from './miss-bench.ts'
import { benchFleet } from './fleet-bench.ts'
import { egressTable } from './egress-report.ts'
import {
  batchTable,
  bulkTable,
  commandsTable,
  edgeHashTable,
  edgeIdleTable,
  edgeTable,
  fleetTable,
  hitTable,
  offlineTable,
  missTable,
  rssTable,
  shareTable,
  zipfTable,
} from './report.ts'
import { benchOffline } from './offline-bench.ts'
import { bulkRows, edgeRows, egressRows, hitRows, missRows, type ReadmeRow, rssRows, zipfRows } from './readme-rows.ts'
import type { RoundsOptions } from './rounds.ts'
import { benchRss } from './rss-bench.ts'
import { benchShare } from './share-bench.ts'
import { benchZipf } from './zipf-bench.ts'

/** The same for programs and for people. */
export interface Measured {
  readonly report: object
  readonly table: string
  /** For README's table. */
  readonly rows?: readonly ReadmeRow[]
}

export type Bench = (words: BenchArguments) => Promise<Measured>

/** Every benchmark, by the name that the command line calls it by, with its defaults; those with rows in README's table first. */
export const benches: Readonly<Record<string, Bench>> = {
  hit: async (words) => {
    const { nodeFlags, nginxLogBuffer } = words
    const entries = words.number('entries', 1000)
    const report = await benchHit({ ...roundsOptions(words), entries, nodeFlags, nginxLogBuffer })
    return { report, table: hitTable(report), rows: hitRows(report) }
  },
  miss: async (words) => {
    const { nodeFlags, nginxLogBuffer, number } = words
    const load = { ...roundsOptions(words), connections: number('connections', 12) }
    const latencyMs = number('latency-ms', 20)
    const report = await benchMiss({ ...load, latencyMs, nodeFlags, nginxLogBuffer })
    return { report, table: missTable(report), rows: missRows(report, latencyMs) }
  },
  zipf: async ({ number, against }) => {
    const report = await benchZipf({
      rounds: number('rounds', 5),
      requests: number('requests', 10_000),
      clients: number('clients', 64),
      latencyMs: number('latency-ms', 20),
      against,
      progress,
    })
    return { report, table: zipfTable(report), rows: zipfRows(report) }
  },
  rss: async ({ number, nodeFlags }) => {
    const report = await benchRss({
      entries: number('entries', 10_000),
      connections: number('connections', 10_000),
      nodeFlags,
    })
    return { report, table: rssTable(report), rows: rssRows(report) }
  },
  edge: async (words) => {
    const { number, withLimit, nodeFlags, nginxLogBuffer, haproxyLog } = words
    const report = await benchEdge({
      ...roundsOptions(words),
      entries: number('entries', 1000),
      bodyBytes: number('body-bytes', 300),
      workers: number('workers', 1),
      withLimit,
      nodeFlags,
      nginxLogBuffer,
      haproxyLog,
    })
    return { report, table: edgeTable(report), rows: edgeRows(report) }
  },
  egress: async (words) => {
    const { number, nodeFlags } = words
    const report = await benchEgress({
      ...roundsOptions(words),
      seconds: number('seconds', 2),
      tunnels: number('tunnels', 5000),
      nodeFlags,
    })
    return { report, table: egressTable(report), rows: egressRows(report) }
  },
  bulk: async ({ number }) => {
    const lines = number('lines', 1_000_000)
    const report = await benchBulk({
      lines,
      distinct: number('distinct', Math.round(lines * 0.4)),
      replicas: number('replicas', 2),
      latencyMs: number('latency-ms', 20),
      livePerSecond: number('live', 0),
      progress,
    })
    return { report, table: bulkTable(report), rows: bulkRows(report, lines) }
  },
  offline: async ({ number }) => {
    const report = await benchOffline({ addresses: number('addresses', 5000) })
    return { report, table: offlineTable(report) }
  },
  commands: async ({ number }) => {
    const report = await benchCommands({ requests: number('requests', 100) })
    return { report, table: commandsTable(report) }
  },
  fleet: async ({ number }) => {
    const most = number('replicas', 100)
    const sizes = [10, 30, 100].filter((size) => size < most)
    const options = { distinct: number('distinct', 200), latencyMs: number('latency-ms', 20) }
    const report = await benchFleet({ ...options, sizes: [...sizes, most] })
    return { report, table: fleetTable(report) }
  },
  batch: async ({ number }) => {
    const report = await benchBatch({
      batches: number('batches', 100),
      items: number('items', 1000),
      clients: number('clients', 4),
    })
    return { report, table: batchTable(report) }
  },
  'edge-idle': async ({ number, nodeFlags }) => {
    const report = await benchEdgeIdle({
      connections: number('connections', 10_000),
      workers: number('workers', 1),
      nodeFlags,
    })
    return { report, table: edgeIdleTable(report) }
  },
  'edge-hash': async ({ number }) => {
    const report = await benchEdgeHash({
      requests: number('requests', 20_000),
      addresses: number('addresses', 10_000),
      entries: number('entries', 1000),
      progress,
    })
    return { report, table: edgeHashTable(report) }
  },
  share: async ({ number, floods, nodeFlags }) => {
    const report = await benchShare({
      rounds: number('rounds', 5),
      seconds: number('seconds', 4),
      names: floods,
      nodeFlags,
      progress,
    })
    return { report, table: shareTable(report) }
  },
}

function roundsOptions({ number }: BenchArguments): RoundsOptions {
  return {
    rounds: number('rounds', 5),
    seconds: number('seconds', 4),
    connections: number('connections', 64),
    progress,
  }
}

function progress(line: string): void {
  process.stderr.write(`${line}\n`)
}
