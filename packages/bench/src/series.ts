import { median, spread } from './statistics.ts'

/** One server under load for some seconds. */
export interface Round {
  readonly requests: number
  readonly errors: number
  readonly cpuUs: number
  readonly p99Us: number
}

/** One server over all rounds. */
export interface Series {
  readonly server: string
  readonly requests: number
  readonly errors: number
  readonly cpuUsPerRequest: number
  /** Of the rounds: least and most. */
  readonly range: readonly [number, number]
  readonly p99Us: number
}

/** What one server needs, or gets through, by that of another, round by round. */
export interface Ratio {
  readonly median: number
  readonly range: readonly [number, number]
}

/** What the rounds of one server come to: sums of what is counted, medians of what is measured. */
export function seriesOf(server: string, rounds: readonly Round[]): Series {
  const costs = rounds.map(cpuUsPerRequest)
  return {
    server,
    requests: rounds.reduce((sum, { requests }) => sum + requests, 0),
    errors: rounds.reduce((sum, { errors }) => sum + errors, 0),
    cpuUsPerRequest: median(costs),
    range: spread(costs),
    p99Us: median(rounds.map(({ p99Us }) => p99Us)),
  }
}

/** Two servers compared within each round. Both have the same number of rounds. */
export function ratioOf(ours: readonly Round[], theirs: readonly Round[]): Ratio {
  return ratiosWithin(ours, theirs, cpuUsPerRequest)
}

/** The same for any value of a round. */
export function ratiosWithin<R>(ours: readonly R[], theirs: readonly R[], valueOf: (round?: R) => number): Ratio {
  const all = ours.map((round, index) => valueOf(round) / valueOf(theirs[index]))
  // A round in which a server did too little to be measured says nothing.
  const ratios = all.filter(Number.isFinite)
  return { median: median(ratios), range: spread(ratios) }
}

/** NaN for a round that was not run. */
export function cpuUsPerRequest(round: Round | undefined): number {
  return round === undefined ? Number.NaN : round.cpuUs / round.requests
}
