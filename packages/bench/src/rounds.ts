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
 * One round: each server in its turn under load, so that whatever else the machine does falls on all of them. What the
 * load brought, with the CPU time of the server.
 */
export async function oneRound<Result extends object>(
  servers: readonly MeasuredServer[],
  load: (server: MeasuredServer) => Promise<Result>,
): Promise<(Result & { readonly cpuUs: number })[]> {
  const results: (Result & { readonly cpuUs: number })[] = []
  for (const server of servers) {
    const beforeUs = cpuTimeUs(server.pid)
    const result = await load(server)
    results.push({ ...result, cpuUs: cpuTimeUs(server.pid) - beforeUs })
  }
  return results
}

/** The rounds of each server. Only the ratio within a round counts. */
export async function takeTurns(
  servers: readonly MeasuredServer[],
  { generator, targets }: Traffic,
  { rounds, seconds, connections, progress }: RoundsOptions,
): Promise<Round[][]> {
  const results: Round[][] = servers.map(() => [])
  for (let round = 1; round <= rounds; round++) {
    const taken = await oneRound(servers, ({ url }) => generator.run({ url, targets, connections, seconds }))
    for (const [index, one] of taken.entries()) results[index]?.push(one)
    const costs = servers.map(({ name }, index) => `${name} ${cpuUsPerRequest(taken[index]).toFixed(2)}`)
    progress(`round ${round} of ${rounds}: ${costs.join(', ')} µs`)
  }
  return results
}

/** The load in a few words. */
export function loadText({ generator }: Traffic, { connections, rounds, seconds }: RoundsOptions): string {
  return `${generator.name}, ${connections} connections, ${rounds} × ${seconds} s`
}
