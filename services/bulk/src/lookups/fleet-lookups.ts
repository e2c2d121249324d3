import type { AdaptiveLimit } from './adaptive-limit.ts'
import { backoffMs } from '@ipfleet/core/backoff.ts'
import type { BatchClient, BatchFailure } from './batch-client.ts'
import type { BatchValue } from './batch-values.ts'
import type { LiveTrafficThrottle } from './live-traffic-throttle.ts'
import type { Pauses } from './pauses.ts'
import type { RateCeiling } from './rate-ceiling.ts'

export interface FleetLookupsDeps {
  readonly client: Pick<BatchClient, 'ask'>
  readonly pauses: Pauses
  readonly ceiling: RateCeiling
  readonly limit: AdaptiveLimit
  readonly throttle: LiveTrafficThrottle
  /** A batch is asked again. */
  readonly onRetry: (reason: BatchFailure | 'items', detail?: string) => void
}

export interface LookupResult {
  readonly values: ReadonlyMap<string, BatchValue>
  readonly cached: number
}

/** What is asked at a time: the fewer, the shorter is what a live look-up waits for behind it; the more, the cheaper. */
const batchSize = { alone: 500, besideLive: 100 } as const
/**
 * How often an address is asked for of which upstream makes an error, before that is its result: over half a minute, and
 * without the time for which the fleet leaves upstream alone.
 */
const triesOfAnAddress = 8
/** Whatever the fleet asks for, it is looked at again after this: it may ask for a month. */
const maxPauseMs = 60_000

/** Looks addresses up, for as long as it takes: what fails is asked for again, politely. */
export class FleetLookups {
  readonly #deps: FleetLookupsDeps
  #failuresInARow = 0

  constructor(parts: FleetLookupsDeps) {
    this.#deps = parts
  }

  /**
   * One after another in batches, each when it may.
   * @param onUnits told what each batch has cost upstream
   * @throws the signal's reason when it aborts
   */
  async lookUp(
    addresses: readonly string[],
    signal: AbortSignal,
    onUnits: (units: number) => void,
  ): Promise<LookupResult> {
    const values = new Map<string, BatchValue>()
    let cached = 0
    let left = addresses
    for (let round = 1; left.length > 0; round += 1) {
      for (let at = 0; at < left.length;) {
        const batch = left.slice(at, at + this.#batchSize())
        at += batch.length
        const reply = await this.#deps.throttle.inTurn(signal, () => this.#ask(batch, signal))
        for (const [address, value] of reply.values) values.set(address, value)
        cached += reply.cached
        onUnits(reply.units)
      }
      left = left.filter((address) => isToBeAskedAgain(values.get(address)))
      if (round >= triesOfAnAddress || left.length === 0) break
      this.#deps.onRetry('items')
      this.#deps.pauses.pause('fleet', backoffMs(round))
    }
    return { values, cached }
  }

  #batchSize(): number {
    const { throttle, ceiling } = this.#deps
    return Math.min(throttle.isDue ? batchSize.besideLive : batchSize.alone, ceiling.most)
  }

  /** The answer to one batch, however often it has to be asked for. */
  async #ask(addresses: readonly string[], signal: AbortSignal) {
    const { client, pauses, ceiling, limit, throttle, onRetry } = this.#deps
    for (;;) {
      await pauses.over(signal)
      await ceiling.take(addresses.length, signal)
      const reply = await client.ask(addresses, signal)
      if (reply.kind === 'answered') {
        this.#failuresInARow = 0
        limit.answered(reply.durationMs)
        throttle.note(reply.liveRate, reply.durationMs)
        return reply
      }
      this.#failuresInARow += 1
      limit.refused()
      onRetry(reply.reason, reply.detail)
      const askedForMs = Math.min(reply.retryAfterMs ?? 0, maxPauseMs)
      pauses.pause('fleet', askedForMs + backoffMs(this.#failuresInARow))
    }
  }
}

/** Upstream failed at it, or the answer lacks it. */
function isToBeAskedAgain(value: BatchValue | undefined): boolean {
  return value === undefined || value.kind === 'passing'
}
