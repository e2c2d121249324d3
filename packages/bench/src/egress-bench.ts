import { setTimeout as sleep } from 'node:timers/promises'
import { egressCommand } from './egress-server.ts'
import { openIdleTunnels, requireOpenFiles } from './idle-clients.ts'
import { type MeasuredServer, type ServerCommand, startMeasured } from './measured-server.ts'
import { residentBytes } from './proc-stats.ts'
import { boundProxyChainCommand, proxyChainCommand } from './proxy-chain-server.ts'
import {
  perSecond,
  type RateRound,
  rateRatioOf,
  rateRound,
  type RateSeries,
  rateSeriesOf,
  warmUpProxies,
} from './rates.ts'
import type { RoundsOptions } from './rounds.ts'
import type { Ratio } from './series.ts'
import { squidCommand } from './squid-server.ts'
import { openAndClose, readStream } from './tunnel-loads.ts'
import { targetsOf, tunnelOriginCommand } from './tunnel-origin.ts'

export interface EgressBenchOptions extends RoundsOptions {
  /** Idle ones. */
  readonly tunnels: number
  readonly nodeFlags: readonly string[]
}

/** The egress next to one peer. */
export interface RateRatio extends Ratio {
  readonly peer: string
}

export interface RateReport {
  readonly series: readonly RateSeries[]
  readonly ratios: readonly RateRatio[]
}

/** Memory of one proxy, in bytes. */
export interface IdleTunnels {
  readonly server: string
  readonly before: number
  readonly withTunnels: number
}

export interface EgressReport {
  readonly load: string
  readonly tunnels: number
  /** Tunnels that are opened, have one round trip and are closed. */
  readonly connects: RateReport
  /** Bytes in one tunnel. */
  readonly stream: RateReport
  readonly idle: readonly IdleTunnels[]
  /** Peers that are not installed. */
  readonly missing: readonly string[]
}

/** What follows the last round trip is over by then. */
const settleMs = 3000
/** Come and gone before memory is looked at: what a process takes once is not a tunnel's. */
const firstTunnels = 500

/** Tunnels through the egress, which rotates and logs, and through proxies that do one of both, or neither. */
export async function benchEgress(options: EgressBenchOptions): Promise<EgressReport> {
  // Of the proxy, whose descriptors are the most: two for each tunnel.
  requireOpenFiles(2 * options.tunnels)
  await using opened = new AsyncDisposableStack()
  const echo = opened.use(await startMeasured(tunnelOriginCommand('echo')))
  const streaming = opened.use(await startMeasured(tunnelOriginCommand('stream')))
  const squid = squidCommand()
  const chains = [proxyChainCommand(), boundProxyChainCommand()]
  const commands = [egressCommand(options), ...chains, ...(squid && (await canStart(squid)) ? [squid] : [])]
  const idle: IdleTunnels[] = []
  for (const command of commands) idle.push(await idleTunnels(command, echo, options))
  const proxies: MeasuredServer[] = []
  for (const command of commands) proxies.push(opened.use(await startMeasured(command)))
  const { connects, stream } = await takeTurns(proxies, { echo, streaming }, options)
  const { connections, rounds, seconds, tunnels } = options
  return {
    load: `${connections} tunnels at a time, then one; ${rounds} × ${seconds} s of each`,
    tunnels,
    connects: rateReport(proxies, connects),
    stream: rateReport(proxies, stream),
    idle,
    missing: squid && commands.includes(squid) ? [] : ['squid'],
  }
}

/** It may be installed and not be made for this: for the user, or the system. */
async function canStart(command: ServerCommand): Promise<boolean> {
  try {
    await (await startMeasured(command)).stop()
    return true
  } catch {
    return false
  }
}

/** Rounds of both loads by turns, so that one does not meet only what the machine does at first. */
async function takeTurns(
  proxies: readonly MeasuredServer[],
  { echo, streaming }: { readonly echo: MeasuredServer; readonly streaming: MeasuredServer },
  options: RoundsOptions,
): Promise<{ readonly connects: RateRound[][]; readonly stream: RateRound[][] }> {
  const opening = { run: openAndClose, targets: targetsOf(echo) }
  const reading = { run: readStream, targets: targetsOf(streaming) }
  await warmUpProxies(proxies, opening, options)
  await warmUpProxies(proxies, reading, options)
  const connects: RateRound[][] = []
  const stream: RateRound[][] = []
  for (let round = 1; round <= options.rounds; round++) {
    connects.push(await rateRound(proxies, opening, options))
    stream.push(await rateRound(proxies, reading, options))
    const rates = proxies.map(({ name }, index) => {
      const [tunnels, bytes] = [connects, stream].map((rounds) => perSecond(rounds.at(-1)?.[index]))
      return `${name} ${tunnels?.toFixed(0)}/s ${(((bytes ?? 0) * 8) / 1e9).toFixed(2)} Gbit/s`
    })
    options.progress(`round ${round} of ${options.rounds}: ${rates.join(', ')}`)
  }
  return { connects, stream }
}

function rateReport(proxies: readonly MeasuredServer[], rounds: readonly (readonly RateRound[])[]): RateReport {
  const ofEach = proxies.map((_, index) => rounds.flatMap((round) => round[index] ?? []))
  const [ours = [], ...theirs] = ofEach
  return {
    series: proxies.map(({ name }, index) => rateSeriesOf(name, ofEach[index] ?? [])),
    ratios: theirs.map((of, index) => ({ peer: proxies[index + 1]?.name ?? '', ...rateRatioOf(ours, of) })),
  }
}

/** In a process of its own, so that nothing is left of another load. Throws when a tunnel is closed. */
async function idleTunnels(
  command: ServerCommand,
  echo: MeasuredServer,
  { tunnels }: EgressBenchOptions,
): Promise<IdleTunnels> {
  await using proxy = await startMeasured(command)
  const first = await openIdleTunnels(proxy.port, firstTunnels, targetsOf(echo))
  await first[Symbol.asyncDispose]()
  await sleep(settleMs)
  const before = residentBytes(proxy.pid)
  await using clients = await openIdleTunnels(proxy.port, tunnels, targetsOf(echo))
  await Promise.race([sleep(settleMs), clients.broken])
  return { server: command.name, before, withTunnels: residentBytes(proxy.pid) }
}
