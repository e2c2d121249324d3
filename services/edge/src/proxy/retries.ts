import { forgetOldest } from '@ipfleet/core/forget-oldest.ts'
import { type ErrorCode, ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { UpstreamFault, UpstreamFaultKind } from '@ipfleet/proxy/http1/upstream-fault.ts'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import type { RetryConfig } from '../config/edge-config.ts'
import type { AttemptEnd } from '../backends/backend.ts'

/**
 * Whether another backend may be asked after this fault. Always when nothing was sent. A connection that died before
 * any byte of an answer may have carried the request to a backend that acted on it, so only what changes nothing and
 * has no body is sent again (RFC 9110 §9.2.2): browsers' preflights too.
 */
export function mayRetry(fault: UpstreamFault, method: string, hasBody: boolean): boolean {
  if (fault.unsent) return true
  return fault.kind === 'lost' && safeMethods.has(method) && !hasBody
}

/** RFC 9110 §9.2.1. TRACE comes no further than here. */
const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Whether the fault says something about the backend. A pool without a free connection does not. */
export function blamesBackend({ kind }: UpstreamFault): boolean {
  return kind !== 'busy'
}

const codes: Readonly<Record<UpstreamFaultKind, ErrorCode>> = {
  unreachable: 'backend_unreachable',
  busy: 'overloaded',
  lost: 'backend_invalid',
  silent: 'backend_timeout',
  cut: 'backend_invalid',
  stalled: 'backend_timeout',
  garbled: 'backend_invalid',
}

/** What the client is told of a fault that no other backend made good. */
export function errorOf(fault: UpstreamFault): ProxyError {
  return new ProxyError(codes[fault.kind], {
    detail: fault.message,
    cause: fault.cause,
    ...(fault.kind === 'busy' && { retryAfterSeconds: 1 }),
  })
}

type RetryShare = Pick<RetryConfig, 'budgetPercent' | 'minPerSecond'>

const windowSeconds = 10

/**
 * Bounds retries by the traffic, as Finagle and Envoy do: when every backend fails, retrying each request would double
 * the load of those that are still there. Counted in buckets of one second, for one process.
 */
export class RetryBudget {
  readonly #clock: Clock
  #share: RetryShare
  readonly #requests = new Uint32Array(windowSeconds)
  readonly #retries = new Uint32Array(windowSeconds)
  #requestsInAll = 0
  #retriesInAll = 0
  #second: number
  #slot = 0

  constructor(share: RetryShare, clock: Clock = monotonicClock) {
    this.#share = share
    this.#clock = clock
    this.#second = this.#currentSecond()
  }

  configure(share: RetryShare): void {
    this.#share = share
  }

  /** Counts one request, whatever becomes of it. */
  request(): void {
    this.#advance()
    this.#requests[this.#slot]! += 1
    this.#requestsInAll += 1
  }

  /**
   * Takes one retry if there may be one: within `budgetPercent` of the requests of the last ten seconds, or among the
   * first `minPerSecond` of this second.
   */
  take(): boolean {
    this.#advance()
    const { budgetPercent, minPerSecond } = this.#share
    const isWithinShare = (this.#retriesInAll + 1) * 100 <= this.#requestsInAll * budgetPercent
    if (!isWithinShare && this.#retries[this.#slot]! >= minPerSecond) return false
    this.#retries[this.#slot]! += 1
    this.#retriesInAll += 1
    return true
  }

  #currentSecond(): number {
    return Math.floor(this.#clock.nowMs() / 1000)
  }

  /** Empties the buckets of the seconds that have begun since. */
  #advance(): void {
    const second = this.#currentSecond()
    for (let left = Math.min(second - this.#second, windowSeconds); left > 0; left -= 1) {
      this.#slot = (this.#slot + 1) % windowSeconds
      this.#requestsInAll -= this.#requests[this.#slot]!
      this.#retriesInAll -= this.#retries[this.#slot]!
      this.#requests[this.#slot] = 0
      this.#retries[this.#slot] = 0
    }
    this.#second = second
  }
}

export type AttemptCounts = Record<AttemptEnd, number>

const noAttempts = (): AttemptCounts => ({ answered: 0, failed: 0, unknown: 0 })

/** Backends come and go with the names they hide behind; of those beyond this number the oldest are forgotten. */
const maxBackends = 1000

/** How attempts at backends ended, and why requests were sent to another one. */
export class AttemptsRecord {
  readonly byBackend = new Map<string, AttemptCounts>()
  readonly retries = new Map<UpstreamFaultKind, number>()
  /** Requests asked elsewhere too because of a silent backend, and those that the other one answered first. */
  readonly hedges = { begun: 0, won: 0 }

  end(backend: string, end: AttemptEnd): void {
    this.byBackend.getOrInsertComputed(backend, noAttempts)[end] += 1
    forgetOldest(this.byBackend, maxBackends)
  }

  retry(why: UpstreamFaultKind): void {
    this.retries.set(why, (this.retries.get(why) ?? 0) + 1)
  }
}
