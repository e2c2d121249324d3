import { afterEach, beforeEach, jest } from '@jest/globals'
import { readIpPool } from '../src/sources/ip-pool.ts'
import { LiveSourcePool, type LiveSourcePoolOptions } from '../src/sources/live-source-pool.ts'
import type { CheckVerdict, Source, SourceChoice, SourceOutcome, SourceRequest } from '../src/sources/source-pool.ts'

/** A pool whose addresses are found to be what a test says, under a clock of the test's. */

export const [a, b, c] = ['192.0.2.1', '192.0.2.2', '192.0.2.3'] as const
export const three = [a, b, c]
export const site = 'shop.example'
const checkIntervalMs = 10_000

export const missed: CheckVerdict = { kind: 'failed', reason: 'ETIMEDOUT' }
export const gone: CheckVerdict = { kind: 'not_ours' }

/** What each address is found to be when it is checked; good unless set. */
export const verdicts = new Map<string, CheckVerdict | Promise<CheckVerdict>>()
const events: string[] = []
const pools: LiveSourcePool[] = []

/** To be called once, where the tests are. */
export function usePools(): void {
  beforeEach(() => {
    verdicts.clear()
    events.length = 0
    // The monotonic clock is theirs too.
    jest.useFakeTimers({ now: 1_700_000_000_000 })
  })
  afterEach(() => {
    for (const pool of pools.splice(0)) pool.close()
    jest.useRealTimers()
  })
}

/** Begins with the first address. */
export async function started(
  entries: readonly string[],
  options: Partial<LiveSourcePoolOptions> = {},
): Promise<LiveSourcePool> {
  const read = readIpPool(entries)
  const pool = new LiveSourcePool(
    {
      entries: read.kind === 'entries' ? read.entries : [],
      rotation: 'round-robin',
      checkIntervalMs,
      siteBenchMs: 300_000,
      ...options,
    },
    {
      check: async ({ address }) => verdicts.get(address) ?? { kind: 'good' },
      clock: { nowMs: () => performance.now(), epochMs: () => Date.now() },
      random: () => 0,
    },
  )
  pools.push(pool)
  pool.on('out', (address, reason, detail) => {
    events.push(`${address} out: ${reason}${detail === undefined ? '' : ` (${detail})`}`)
  })
  pool.on('back', (address) => void events.push(`${address} back`))
  pool.on('siteBenched', (address, at) => void events.push(`${address} benched at ${at}`))
  pool.on('targetLost', (from, reason) => void events.push(`${from} lost: ${reason}`))
  pool.on('targetBack', (from) => void events.push(`${from} back`))
  await pool.start()
  await pass(0)
  return pool
}

export const pass = (ms: number): Promise<void> => jest.advanceTimersByTimeAsync(ms)
/** The time between two rounds, with no chance in it, is nine tenths of the interval. */
export const nextRound = (): Promise<void> => pass(0.9 * checkIntervalMs)
/** What has been told since the last call. */
export const told = (): string[] => events.splice(0)

export const request = (more: Partial<SourceRequest> = {}): SourceRequest => ({
  families: [4],
  site,
  session: undefined,
  tried: [],
  ...more,
})

export function sourceOf(choice: SourceChoice | Promise<SourceChoice>): Source {
  if ('kind' in choice && choice.kind === 'source') return choice.source
  throw new Error(`no source: ${JSON.stringify(choice)}`)
}

export const next = (pool: LiveSourcePool, more?: Partial<SourceRequest>): string =>
  sourceOf(pool.next(request(more))).address

export const taken = (pool: LiveSourcePool, count: number, more?: Partial<SourceRequest>): string[] =>
  Array.from({ length: count }, () => next(pool, more))

export const source = (address: string): Source => ({ address, family: 4, listedAs: address })

export function report(pool: LiveSourcePool, address: string, ...outcomes: SourceOutcome[]): void {
  for (const outcome of outcomes) pool.report(source(address), site, outcome)
}
