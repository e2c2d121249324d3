import { EventEmitter } from 'node:events'
import type { ErrorCode } from '@ipfleet/errors/proxy-error.ts'
import {
  BrokenCircuitError,
  BulkheadRejectedError,
  CircuitState,
  SamplingBreaker,
  bulkhead,
  circuitBreaker,
  handleWhenResult,
} from 'cockatiel'

export type BreakerState = 'closed' | 'half-open' | 'open'

interface Failed {
  readonly kind: 'failure'
  readonly code: ErrorCode
  readonly retryAfterSeconds?: number
}

export interface UpstreamGateOptions {
  /** Most calls at a time. */
  readonly concurrency: number
  /** Whether calls cannot be coordinated with other replicas now; then a quarter of the concurrency is used. */
  readonly isAlone: () => boolean
}

const halfOpenAfterMs = 5000
/** Opens when half of the calls of the last ten seconds failed, given at least one call a second. */
const sampling = { threshold: 0.5, duration: 10_000, minimumRps: 1 }
const queuedPerSlot = 8

/** What keeps this replica from overrunning a failing upstream: a cap on concurrent calls and a circuit breaker. */
export class UpstreamGate extends EventEmitter<{ breaker: [state: BreakerState] }> {
  readonly #isAlone: () => boolean
  readonly #wide
  readonly #narrow
  readonly #breaker = circuitBreaker(handleWhenResult(isUpstreamFailure), {
    halfOpenAfter: halfOpenAfterMs,
    breaker: new SamplingBreaker(sampling),
  })
  #openedAtMs = 0

  constructor({ concurrency, isAlone }: UpstreamGateOptions) {
    super()
    this.#isAlone = isAlone
    this.#wide = bulkhead(concurrency, concurrency * queuedPerSlot)
    const few = Math.max(1, Math.floor(concurrency / 4))
    this.#narrow = bulkhead(few, concurrency * queuedPerSlot)
    this.#breaker.onStateChange(() => {
      if (this.state === 'open') this.#openedAtMs = performance.now()
      this.emit('breaker', this.state)
    })
  }

  get state(): BreakerState {
    switch (this.#breaker.state) {
      case CircuitState.Closed:
        return 'closed'
      case CircuitState.HalfOpen:
        return 'half-open'
      default:
        return 'open'
    }
  }

  /** Runs a call and watches how it ends; refuses it, as a failure with Retry-After, while upstream is given a pause. */
  async run<T extends { kind: string }>(call: () => Promise<T>): Promise<T | Failed> {
    const slots = this.#isAlone() ? this.#narrow : this.#wide
    try {
      return await slots.execute(() => this.#breaker.execute(call))
    } catch (error) {
      if (error instanceof BulkheadRejectedError) return { kind: 'failure', code: 'overloaded', retryAfterSeconds: 1 }
      if (!(error instanceof BrokenCircuitError)) throw error
      const leftMs = this.#openedAtMs + halfOpenAfterMs - performance.now()
      return { kind: 'failure', code: 'upstream_paused', retryAfterSeconds: Math.max(1, Math.ceil(leftMs / 1000)) }
    }
  }
}

/** Keys that are over their limit say nothing about upstream's health. */
function isUpstreamFailure(result: unknown): boolean {
  const { kind, code } = result as Partial<Failed>
  return kind === 'failure' && code !== undefined && code.startsWith('upstream_')
}
