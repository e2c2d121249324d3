import { setTimeout as sleep } from 'node:timers/promises'
import { backoffMs } from '@ipfleet/core/backoff.ts'
import type { TokenBucket } from '@ipfleet/rate-limit/policy.ts'
import type { RateLimiter } from '@ipfleet/rate-limit/rate-limiter.ts'
import type { AdaptiveLimit } from './adaptive-limit.ts'
import type { BatchClient, BatchFailure } from '@ipfleet/fleet-client/batch-client.ts'
import type { BatchValue } from '@ipfleet/fleet-client/batch-values.ts'
import type { LiveTrafficThrottle } from './live-traffic-throttle.ts'
import type { Pauses } from './pauses.ts'

export interface FleetLookupsDeps {
  readonly client: Pick<BatchClient, 'ask'>
  readonly pauses: Pauses
  readonly limiter: RateLimiter
  /** Addresses a second over all workers; 0: no ceiling. */
  readonly maxRps: number
  readonly limit: AdaptiveLimit
  readonly throttle: LiveTrafficThrottle
  readonly onRetry: (reason: BatchFailure | 'items', detail?: string) => void
}

interface LookupResult {
  readonly values: ReadonlyMap<string, BatchValue>
  readonly cached: number
}

/** Addresses of a batch. Fewer let a live look-up behind it wait for less; more are cheaper. */
const batchSize = { alone: 500, besideLive: 100 } as const
/**
 * How often an address is asked for before upstream's error is its result: over half a minute, without the time for which
 * the fleet does not ask upstream.
 */
const triesOfAnAddress = 8
/** The fleet is asked again after this at the latest: its Retry-After may be a month. */
const maxPauseMs = 60_000

/** Looks addresses up, for as long as it takes. What fails is asked for again after a pause. */
export class FleetLookups {
  readonly #deps: FleetLookupsDeps
  readonly #ceiling: TokenBucket | undefined
  #failuresInARow = 0

  constructor(deps: FleetLookupsDeps) {
    this.#deps = deps
    const { maxRps } = deps
    this.#ceiling = maxRps === 0 ? undefined : { kind: 'token-bucket', burst: maxRps, refillPerSecond: maxRps }
  }

  /**
   * One batch after another.
   * @param onUnits called with what each batch has cost upstream
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
    const size = this.#deps.throttle.isDue ? batchSize.besideLive : batchSize.alone
    return Math.min(size, this.#ceiling?.burst ?? Infinity)
  }

  /** Waits until so many addresses may be asked for. @throws the signal's reason */
  async #takeFromCeiling(addresses: number, signal: AbortSignal): Promise<void> {
    if (this.#ceiling === undefined) return
    for (;;) {
      const decision = await this.#deps.limiter.take('all', this.#ceiling, addresses)
      if (decision.kind === 'allowed') return
      await sleep(Math.max(1, decision.retryAfterMs), undefined, { signal })
    }
  }

  /** Asks for a batch until it is answered. */
  async #ask(addresses: readonly string[], signal: AbortSignal) {
    const { client, pauses, limit, throttle, onRetry } = this.#deps
    for (;;) {
      await pauses.over(signal)
      await this.#takeFromCeiling(addresses.length, signal)
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

/** Upstream has failed, or the answer lacks the address. */
function isToBeAskedAgain(value: BatchValue | undefined): boolean {
  return value === undefined || value.kind === 'passing'
}
