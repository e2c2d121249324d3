import type { EgressReport, IdleTunnels, RateReport } from './egress-bench.ts'
import { megabytes, ratioText, table } from './report.ts'

const wanted = { atLeast: 1, mostKilobytes: 14 } as const

/** The report of the egress as tables for a terminal. */
export function egressTable({ load, tunnels, connects, stream, idle, missing }: EgressReport): string {
  const parts = [
    load,
    rateTable(connects, 'tunnels/s', 'CPU µs/tunnel', (rate) => rate.toFixed(0), 1),
    verdictsOn(connects),
    '',
    rateTable(stream, 'Gbit/s', 'CPU µs/MB', gigabits, 1e6),
    verdictsOn(stream),
    '',
    idleTable(idle, tunnels),
    `wanted: at most ${wanted.mostKilobytes} KB per tunnel of the egress`,
    '',
    'the egress takes its addresses in turn and writes two lines for each tunnel; the others write none, and of them',
    'only proxy-chain bound takes addresses in turn',
    ...missing.map((peer) => `${peer} is not installed, or does not start, and is left out`),
  ]
  return `${parts.join('\n')}\n`
}

function rateTable(
  { series }: RateReport,
  rateTitle: string,
  costTitle: string,
  text: (perSecond: number) => string,
  units: number,
): string {
  const rows = series.map(({ server, perSecond, range: [least, most], errors, cpuUsPerUnit }) => [
    server,
    text(perSecond),
    `${text(least)} to ${text(most)}`,
    (cpuUsPerUnit * units).toFixed(0),
    String(errors),
  ])
  return table([['proxy', rateTitle, 'range', costTitle, 'errors'], ...rows])
}

function verdictsOn({ ratios }: RateReport): string {
  const lines = ratios.map(({ peer, ...ratio }) => {
    const isPromised = peer.startsWith('proxy-chain')
    const verdict = isPromised ? `, wanted: at least ${wanted.atLeast.toFixed(2)}` : ''
    return `egress / ${peer}: ${ratioText(ratio)}${verdict}`
  })
  return lines.join('\n')
}

function idleTable(idle: readonly IdleTunnels[], tunnels: number): string {
  const rows = idle.map(({ server, before, withTunnels }) => [
    server,
    megabytes(before),
    megabytes(withTunnels),
    ((withTunnels - before) / tunnels / 1024).toFixed(1),
  ])
  return table([['proxy', 'RSS MB before', `with ${tunnels} idle tunnels`, 'KB/tunnel'], ...rows])
}

const gigabits = (bytesPerSecond: number): string => ((bytesPerSecond * 8) / 1e9).toFixed(2)
