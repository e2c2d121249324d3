import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import type { ErrorCode } from '@ipfleet/core/proxy-error.ts'
import { FairSlots } from './fair-slots.ts'
import type { Admission, BreakerState, CallResult } from './fleet-breaker.ts'
import type { Product } from './product.ts'
import type { ProductBreakers } from './product-breakers.ts'
import { wholeSeconds } from '@ipfleet/core/whole-seconds.ts'

interface Failed {
  readonly kind: 'failure'
  readonly code: ErrorCode
  readonly retryAfterSeconds?: number
}

export interface UpstreamGateOptions {
  readonly breakers: ProductBreakers
  /** Most calls at a time. */
  readonly concurrency: number
  /** Whether calls cannot be coordinated with other replicas now; then a quarter of the concurrency is used. */
  readonly isAlone: () => boolean
  readonly clock?: Clock
}

/** What a call learnt about the source while all keys were refused alike. */
export interface SourceWatch {
  /** Whether this call shows for the fleet if the source is well again. */
  readonly isProbe: boolean
  /** All keys are refused alike: the product is left alone for so long, and then probed by one request. */
  limited(forMs: number): void
}

type Passed = Extract<Admission, { kind: 'pass' }>

const queuedPerSlot = 8

/**
 * What keeps this replica from overrunning a failing upstream: a cap on concurrent calls, for which clients take turns, and for each product a
 * circuit breaker and a pause of the source, so that a tool or module in trouble stops nothing else.
 */
export class UpstreamGate {
  readonly breakers: ProductBreakers
  readonly #isAlone: () => boolean
  readonly #wide: FairSlots
  readonly #narrow: FairSlots
  readonly #clock: Clock
  readonly #tools = new Set<string>()

  constructor({ breakers, concurrency, isAlone, clock = monotonicClock }: UpstreamGateOptions) {
    this.breakers = breakers
    this.#isAlone = isAlone
    this.#clock = clock
    const places = concurrency * queuedPerSlot
    this.#wide = new FairSlots({ slots: concurrency, places })
    this.#narrow = new FairSlots({ slots: Math.max(1, Math.floor(concurrency / 4)), places })
  }

  /** The worst state of any product that look-ups are of: the troubles of tools are theirs alone. */
  get state(): BreakerState {
    return this.breakers.worst((product) => this.#tools.has(product))
  }

  /**
   * Runs a call and watches how it ends; refuses it, as a failure with Retry-After, while upstream is given a pause, or
   * while too many calls wait, in all or of this client.
   */
  async run<T extends { kind: string }>(
    { name, kind }: Product,
    call: (source: SourceWatch) => Promise<T>,
    client = '',
  ): Promise<T | Failed> {
    if (kind === 'tool') this.#tools.add(name)
    const slots = this.#isAlone() ? this.#narrow : this.#wide
    const outcome = await slots.run(client, () => this.#unlessOpen(name, call))
    return outcome ?? { kind: 'failure', code: 'overloaded', retryAfterSeconds: 1 }
  }

  async #unlessOpen<T extends { kind: string }>(
    product: string,
    call: (source: SourceWatch) => Promise<T>,
  ): Promise<T | Failed> {
    const { breaker, source } = this.breakers.of(product)
    const admission = await breaker.admit()
    if (admission.kind === 'refused') return refused('upstream_paused', admission.retryAfterMs)
    const admitted = await source.admit()
    if (admitted.kind === 'refused') {
      await breaker.report(admission, 'unknown', 0)
      return refused('keys_exhausted', admitted.retryAfterMs)
    }
    return this.#watched(product, { admission, admitted }, call)
  }

  async #watched<T extends { kind: string }>(
    product: string,
    { admission, admitted }: { readonly admission: Passed; readonly admitted: Passed },
    call: (source: SourceWatch) => Promise<T>,
  ): Promise<T> {
    const { breaker, source } = this.breakers.of(product)
    const startedMs = this.#clock.nowMs()
    let result: CallResult = 'unknown'
    let limitedForMs: number | undefined
    try {
      const outcome = await call({ isProbe: admitted.isProbe, limited: (forMs) => (limitedForMs = forMs) })
      result = resultOf(outcome)
      return outcome
    } finally {
      await breaker.report(admission, result, this.#clock.nowMs() - startedMs)
      if (limitedForMs !== undefined) await source.pause(limitedForMs)
      else if (admitted.isProbe) await source.report(admitted, result === 'ok' ? 'ok' : 'unknown', 0)
    }
  }
}

function refused(code: ErrorCode, retryAfterMs: number): Failed {
  return { kind: 'failure', code, retryAfterSeconds: wholeSeconds(retryAfterMs) }
}

/** Keys that are over their limit say nothing about upstream's health. */
function resultOf(outcome: { readonly kind: string; readonly code?: unknown }): CallResult {
  if (outcome.kind !== 'failure') return 'ok'
  if (outcome.code === 'upstream_paused') return 'unknown'
  return typeof outcome.code === 'string' && outcome.code.startsWith('upstream_') ? 'failed' : 'unknown'
}
