import type { MeasuredServer } from './measured-server.ts'
import { oneRound, type RoundsOptions } from './rounds.ts'
import { type Ratio, ratiosWithin } from './series.ts'
import { median, spread } from './statistics.ts'
import type { RunTunnelLoad, TunnelLoadResult } from './tunnel-loads.ts'

/** What one proxy got through in one round. */
export interface RateRound extends TunnelLoadResult {
  /** Of the proxy. */
  readonly cpuUs: number
}

/** One proxy over all rounds: medians of what is measured, sums of what is counted. */
export interface RateSeries {
  readonly server: string
  readonly perSecond: number
  /** Of the rounds: least and most. */
  readonly range: readonly [number, number]
  readonly errors: number
  readonly cpuUsPerUnit: number
}

/** A load with what it goes to. */
export interface TunnelTraffic {
  readonly run: RunTunnelLoad
  readonly targets: readonly string[]
}

/** Node compiles what is hot while it runs. */
const warmUpSeconds = 2

export async function warmUpProxies(
  proxies: readonly MeasuredServer[],
  { run, targets }: TunnelTraffic,
  { connections }: RoundsOptions,
): Promise<void> {
  for (const { port, name } of proxies) {
    const { amount } = await run({ proxyPort: port, targets, connections, seconds: warmUpSeconds })
    if (amount === 0) throw new Error(`nothing comes through ${name}`)
  }
}

export function rateRound(
  proxies: readonly MeasuredServer[],
  { run, targets }: TunnelTraffic,
  { connections, seconds }: RoundsOptions,
): Promise<RateRound[]> {
  return oneRound(proxies, ({ port }) => run({ proxyPort: port, targets, connections, seconds }))
}

export function rateSeriesOf(server: string, rounds: readonly RateRound[]): RateSeries {
  const rates = rounds.map(perSecond)
  return {
    server,
    perSecond: median(rates),
    range: spread(rates),
    errors: rounds.reduce((sum, { errors }) => sum + errors, 0),
    cpuUsPerUnit: median(rounds.map(({ cpuUs, amount }) => cpuUs / amount)),
  }
}

/** Two proxies compared within each round. Both have the same number of rounds. */
export function rateRatioOf(ours: readonly RateRound[], theirs: readonly RateRound[]): Ratio {
  return ratiosWithin(ours, theirs, perSecond)
}

/** NaN for a round that was not run. */
export function perSecond(round: RateRound | undefined): number {
  return round === undefined ? Number.NaN : round.amount / round.seconds
}
