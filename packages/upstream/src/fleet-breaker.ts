import { EventEmitter } from 'node:events'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import { CircuitState, CountBreaker } from 'cockatiel'
import type { BreakerBoard } from './breaker-board.ts'

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
  readonly leastCalls: number
  readonly openMs: number
  /** How long the fleet's one probing request may take. */
  readonly probeMs: number
}

/** `unknown`: the call never got to upstream. */
export type CallResult = 'ok' | 'failed' | 'unknown'

export type Admission =
  | { readonly kind: 'pass'; readonly isProbe: boolean }
  | { readonly kind: 'refused'; readonly retryAfterMs: number }

/** How long others are told to wait while one request probes. */
const probeRetryMs = 1000

/**
 * A circuit breaker that the replicas share. Each judges by its own calls; when one opens, all do, and when the pause
 * is over a single request of the fleet shows whether upstream is back.
 *
 * The judging is cockatiel's (4.0.0), by number of calls. Its state machine is not used: it knows of one process, and
 * measures the pause by the wall clock.
 */
export class FleetBreaker extends EventEmitter<{ change: [state: BreakerState] }> {
  readonly #settings: BreakerSettings
  readonly #board: BreakerBoard
  readonly #clock: Clock
  #failures: CountBreaker
  #slowness: CountBreaker
  /** Undefined while closed. */
  #openUntilMs: number | undefined
  #probing = false

  constructor(settings: BreakerSettings, board: BreakerBoard, clock: Clock = monotonicClock) {
    super()
    this.#settings = settings
    this.#board = board
    this.#clock = clock
    this.#failures = judge(settings, settings.failureShare)
    this.#slowness = judge(settings, settings.slowShare)
    board.onChange((openForMs) => (openForMs === undefined ? this.#shut() : this.#pauseFor(openForMs)))
  }

  get state(): BreakerState {
    if (this.#openUntilMs === undefined) return 'closed'
    return this.#clock.nowMs() < this.#openUntilMs ? 'open' : 'half-open'
  }

  /** Whether a call may be made. Whoever passes reports how it ended. */
  async admit(): Promise<Admission> {
    if (this.#openUntilMs === undefined) return { kind: 'pass', isProbe: false }
    const leftMs = this.#openUntilMs - this.#clock.nowMs()
    if (leftMs > 0) return { kind: 'refused', retryAfterMs: leftMs }
    if (this.#probing) return { kind: 'refused', retryAfterMs: probeRetryMs }
    this.#probing = true
    if (await this.#board.tryProbe(this.#settings.probeMs)) return { kind: 'pass', isProbe: true }
    this.#probing = false
    return { kind: 'refused', retryAfterMs: probeRetryMs }
  }

  /** Opens it whatever the last calls were; with 0 ms the next call is the fleet's probe. */
  async pause(forMs: number): Promise<void> {
    this.#probing = false
    this.#pauseFor(forMs)
    await this.#board.open(forMs)
  }

  async report({ isProbe }: { readonly isProbe: boolean }, result: CallResult, durationMs: number): Promise<void> {
    if (isProbe) await this.#endProbe(result)
    else if (result !== 'unknown' && this.state === 'closed' && this.#isTooMuch(result, durationMs)) {
      this.#pauseFor(this.#settings.openMs)
      await this.#board.open(this.#settings.openMs)
    }
  }

  async #endProbe(result: CallResult): Promise<void> {
    this.#probing = false
    if (result === 'unknown') return this.#board.endProbe()
    if (result === 'failed') {
      this.#pauseFor(this.#settings.openMs)
      return this.#board.open(this.#settings.openMs)
    }
    this.#shut()
    return this.#board.close()
  }

  #isTooMuch(result: 'ok' | 'failed', durationMs: number): boolean {
    const { slowMs } = this.#settings
    const tooManyFailures = count(this.#failures, result === 'failed')
    const tooManySlow = count(this.#slowness, slowMs > 0 && durationMs > slowMs)
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
    this.#failures = judge(this.#settings, this.#settings.failureShare)
    this.#slowness = judge(this.#settings, this.#settings.slowShare)
    this.emit('change', 'closed')
  }
}

function judge({ window, leastCalls }: BreakerSettings, threshold: number): CountBreaker {
  return new CountBreaker({ threshold, size: window, minimumNumberOfCalls: Math.min(leastCalls, window) })
}

/** Counts one call. @returns whether it was one too many */
function count(judged: CountBreaker, isBad: boolean): boolean {
  if (isBad) return judged.failure(CircuitState.Closed)
  judged.success(CircuitState.Closed)
  return false
}
