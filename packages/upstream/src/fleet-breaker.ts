import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import { CircuitState, CountBreaker } from 'cockatiel'
import type { SharedBreakerState } from './shared-breaker-state.ts'

export type BreakerState = 'closed' | 'open' | 'half-open'

export interface BreakerSettings {
  /** Opens when more than this share (0 to 1) of the last calls failed … */
  readonly failureShare: number
  /** … or more than this share of them were slow. */
  readonly slowShare: number
  /** A call that takes longer is slow; 0: none is. */
  readonly slowMs: number
  /** How many of the last calls are looked at. */
  readonly window: number
  /** Fewer calls than this prove nothing. */
  readonly minCalls: number
  readonly openMs: number
  /** How long the fleet's one probing request may take. */
  readonly probeMs: number
}

/** `unknown`: the call never got to upstream. */
export type CallResult = 'ok' | 'failed' | 'unknown'

export type Admission =
  | { readonly kind: 'pass'; readonly isProbe: boolean }
  | { readonly kind: 'refused'; readonly retryAfterMs: number; readonly isProbing?: true }

/** How long other requests wait, or are told to wait, while one probes. */
const probeWaitMs = 1000
const probePollMs = 50
export const passed = { kind: 'pass', isProbe: false } as const satisfies Admission
const probing: Admission = { kind: 'refused', retryAfterMs: probeWaitMs, isProbing: true }

/**
 * A circuit breaker that the replicas share. Each judges by its own calls; when one opens, all do, and when the pause
 * is over a single request of the fleet shows whether upstream is back.
 *
 * The judging is cockatiel's (4.0.0), by number of calls. Its state machine is not used: it knows of one process, and
 * measures the pause by the wall clock.
 */
export class FleetBreaker extends EventEmitter<{ change: [state: BreakerState] }> {
  readonly #settings: BreakerSettings
  readonly #shared: SharedBreakerState
  readonly #clock: Clock
  #judges: ReturnType<typeof judgesOf>
  /** Undefined while closed. */
  #openUntilMs: number | undefined
  #probing = false

  constructor(settings: BreakerSettings, shared: SharedBreakerState, clock: Clock = monotonicClock) {
    super()
    this.#settings = settings
    this.#shared = shared
    this.#clock = clock
    this.#judges = judgesOf(settings)
    shared.onChange((openForMs) => (openForMs === undefined ? this.#shut() : this.#pauseFor(openForMs)))
  }

  get state(): BreakerState {
    if (this.#openUntilMs === undefined) return 'closed'
    return this.#clock.nowMs() < this.#openUntilMs ? 'open' : 'half-open'
  }

  /** Whether a call may be made. A caller that passes reports how it ended. */
  async admit(): Promise<Admission> {
    if (this.#openUntilMs === undefined) return passed
    const leftMs = this.#openUntilMs - this.#clock.nowMs()
    if (leftMs > 0) return { kind: 'refused', retryAfterMs: leftMs }
    if (this.#probing) return probing
    this.#probing = true
    if (await this.#shared.tryProbe(this.#settings.probeMs)) return { kind: 'pass', isProbe: true }
    this.#probing = false
    return probing
  }

  /** As `admit`; while another request probes, waits a second for its result. */
  async admitAfterProbe(deadlineMs: number): Promise<Admission> {
    const polls = Math.min(probeWaitMs, deadlineMs - this.#clock.nowMs()) / probePollMs
    for (let poll = 0; ; poll += 1) {
      const admission = await this.admit()
      if (admission.kind === 'pass' || !admission.isProbing || poll >= polls) return admission
      await sleep(probePollMs)
    }
  }

  /** Opens it whatever the last calls were; with 0 ms the next call is the fleet's probe. */
  async pause(forMs: number): Promise<void> {
    this.#probing = false
    this.#pauseFor(forMs)
    await this.#shared.open(forMs)
  }

  async report({ isProbe }: { readonly isProbe: boolean }, result: CallResult, durationMs: number): Promise<void> {
    if (isProbe) await this.#endProbe(result)
    else if (result !== 'unknown' && this.state === 'closed' && this.#isTooMuch(result, durationMs))
      await this.pause(this.#settings.openMs)
  }

  #endProbe(result: CallResult): Promise<void> {
    if (result === 'failed') return this.pause(this.#settings.openMs)
    this.#probing = false
    if (result === 'unknown') return this.#shared.endProbe()
    this.#shut()
    return this.#shared.close()
  }

  #isTooMuch(result: 'ok' | 'failed', durationMs: number): boolean {
    const { slowMs } = this.#settings
    const tooManyFailures = count(this.#judges.failures, result === 'failed')
    const tooManySlow = count(this.#judges.slowness, slowMs > 0 && durationMs > slowMs)
    return tooManyFailures || tooManySlow
  }

  #pauseFor(durationMs: number): void {
    const before = this.state
    this.#openUntilMs = Math.max(this.#openUntilMs ?? 0, this.#clock.nowMs() + durationMs)
    if (before !== 'open') this.emit('change', 'open')
  }

  /** Closed again, with nothing held against upstream. */
  #shut(): void {
    if (this.#openUntilMs === undefined) return
    this.#openUntilMs = undefined
    this.#judges = judgesOf(this.#settings)
    this.emit('change', 'closed')
  }
}

/** They know of no call yet. */
function judgesOf({ window, minCalls, failureShare, slowShare }: BreakerSettings) {
  const options = { size: window, minimumNumberOfCalls: Math.min(minCalls, window) }
  return {
    failures: new CountBreaker({ ...options, threshold: failureShare }),
    slowness: new CountBreaker({ ...options, threshold: slowShare }),
  }
}

/** Counts one call. @returns whether it was one too many */
function count(judged: CountBreaker, isBad: boolean): boolean {
  if (isBad) return judged.failure(CircuitState.Closed)
  judged.success(CircuitState.Closed)
  return false
}
