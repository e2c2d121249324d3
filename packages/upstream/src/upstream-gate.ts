import { type Clock, monotonicClock } from '@ipfleet/clock/clock.ts'
import type { ErrorCode } from '@ipfleet/errors/proxy-error.ts'
import { bulkhead, BulkheadRejectedError } from 'cockatiel'
import type { CallResult, FleetBreaker } from './fleet-breaker.ts'

interface Failed {
  readonly kind: 'failure'
  readonly code: ErrorCode
  readonly retryAfterSeconds?: number
}

export interface UpstreamGateOptions {
  readonly breaker: FleetBreaker
  /** Most calls at a time. */
  readonly concurrency: number
  /** Whether calls cannot be coordinated with other replicas now; then a quarter of the concurrency is used. */
  readonly isAlone: () => boolean
  readonly clock?: Clock
}

const queuedPerSlot = 8

/** What keeps this replica from overrunning a failing upstream: a cap on concurrent calls and a circuit breaker. */
export class UpstreamGate {
  readonly breaker: FleetBreaker
  readonly #isAlone: () => boolean
  readonly #wide
  readonly #narrow
  readonly #clock: Clock

  constructor({ breaker, concurrency, isAlone, clock = monotonicClock }: UpstreamGateOptions) {
    this.breaker = breaker
    this.#isAlone = isAlone
    this.#clock = clock
    this.#wide = bulkhead(concurrency, concurrency * queuedPerSlot)
    this.#narrow = bulkhead(Math.max(1, Math.floor(concurrency / 4)), concurrency * queuedPerSlot)
  }

  /** Runs a call and watches how it ends; refuses it, as a failure with Retry-After, while upstream is given a pause. */
  async run<T extends { kind: string }>(call: () => Promise<T>): Promise<T | Failed> {
    const slots = this.#isAlone() ? this.#narrow : this.#wide
    try {
      return await slots.execute(() => this.#unlessOpen(call))
    } catch (error) {
      if (error instanceof BulkheadRejectedError) return { kind: 'failure', code: 'overloaded', retryAfterSeconds: 1 }
      throw error
    }
  }

  async #unlessOpen<T extends { kind: string }>(call: () => Promise<T>): Promise<T | Failed> {
    const admission = await this.breaker.admit()
    if (admission.kind === 'refused') {
      return {
        kind: 'failure',
        code: 'upstream_paused',
        retryAfterSeconds: Math.max(1, Math.ceil(admission.retryAfterMs / 1000)),
      }
    }
    const startedMs = this.#clock.nowMs()
    let result: CallResult = 'unknown'
    try {
      const outcome = await call()
      result = resultOf(outcome)
      return outcome
    } finally {
      await this.breaker.report(admission, result, this.#clock.nowMs() - startedMs)
    }
  }
}

/** Keys that are over their limit say nothing about upstream's health. */
function resultOf(outcome: { readonly kind: string; readonly code?: unknown }): CallResult {
  if (outcome.kind !== 'failure') return 'ok'
  return typeof outcome.code === 'string' && outcome.code.startsWith('upstream_') ? 'failed' : 'unknown'
}
