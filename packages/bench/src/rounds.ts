import type { LoadGenerator } from './load.ts'
import type { MeasuredServer } from './measured-server.ts'
import { cpuTimeUs } from './proc-stats.ts'
import { cpuUsPerRequest, type Round } from './series.ts'
import { warm } from './targets.ts'

export interface RoundsOptions {
  readonly rounds: number
  /** Of a round. */
  readonly seconds: number
  readonly connections: number
  readonly progress: (line: string) => void
}

/** What each server is asked, and by what. */
export interface Traffic {
  readonly generator: LoadGenerator
  readonly targets: readonly string[]
}

/** Node compiles what is hot while it runs; before that it is another program. */
const warmUpSeconds = 3

/** Asks each server for each target once, then loads it for a while. Throws when an answer is not a 200. */
export async function warmUp(
  servers: readonly MeasuredServer[],
  { generator, targets }: Traffic,
  { connections }: RoundsOptions,
): Promise<void> {
  for (const { url } of servers) {
    await warm(url, targets)
    await generator.run({ url, targets, connections, seconds: warmUpSeconds })
  }
}

/**
 * The rounds of each server. The servers take turns, so that whatever else the machine does falls on all of them, and
 * only the ratio within a round counts.
 */
export async function takeTurns(
  servers: readonly MeasuredServer[],
  { generator, targets }: Traffic,
  { rounds, seconds, connections, progress }: RoundsOptions,
): Promise<Round[][]> {
  const results: Round[][] = servers.map(() => [])
  for (let round = 1; round <= rounds; round++) {
    for (const [index, { url, pid }] of servers.entries()) {
      const beforeUs = cpuTimeUs(pid)
      const { requests, errors, p99Us } = await generator.run({ url, targets, connections, seconds })
      results[index]?.push({ requests, errors, cpuUs: cpuTimeUs(pid) - beforeUs, p99Us })
    }
    const costs = servers.map(({ name }, index) => `${name} ${cpuUsPerRequest(results[index]?.at(-1)).toFixed(2)}`)
    progress(`round ${round} of ${rounds}: ${costs.join(', ')} µs`)
  }
  return results
}

/** The load in a few words. */
export function loadText({ generator }: Traffic, { connections, rounds, seconds }: RoundsOptions): string {
  return `${generator.name}, ${connections} connections, ${rounds} × ${seconds} s`
}
