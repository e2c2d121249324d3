import { EventEmitter } from 'node:events'
import type { Clock } from '@ipfleet/core/clock.ts'
import type { HealthConfig } from '../config/edge-config.ts'
import type { HealthVerdict } from './health-check.ts'
import { jittered } from '@ipfleet/core/jitter.ts'

export type HealthPace = Pick<HealthConfig, 'intervalMs' | 'healthyAfter' | 'unhealthyAfter'>

export interface HealthCheckerDeps {
  /** One check. Never rejects. */
  readonly check: (signal: AbortSignal) => Promise<HealthVerdict>
  readonly clock: Clock
  readonly random: () => number
}

/**
 * Checks one backend again and again, one check at a time. The backend is held to be healthy until the first verdict,
 * which counts at once; later it takes `unhealthyAfter` failures or `healthyAfter` good answers in a row to change
 * that. The time from one check to the next varies by a tenth, so that the checks of many edges do not come together.
 */
export class HealthChecker extends EventEmitter<{ healthy: []; unhealthy: [reason: string] }> {
  readonly #deps: HealthCheckerDeps
  #pace: HealthPace
  #isHealthy = true
  #isFirst = true
  /** Verdicts in a row that contradict what is held. */
  #contradictions = 0
  #dueMs = 0
  /** Of the last bad verdict. */
  #isSilent = false
  /** When the last good answer came, or checks began. */
  #goodMs: number
  #timer: NodeJS.Timeout | undefined
  readonly #closing = new AbortController()

  constructor(pace: HealthPace, deps: HealthCheckerDeps) {
    super()
    this.#pace = pace
    this.#deps = deps
    this.#goodMs = deps.clock.nowMs()
  }

  /** The first check begins now. */
  start(): void {
    void this.#run()
  }

  /** Takes effect from the next check on. */
  configure(pace: HealthPace): void {
    this.#pace = pace
  }

  /** How soon good answers could bring an unhealthy backend back. */
  get healthyInMs(): number {
    const further = Math.max(0, this.#pace.healthyAfter - this.#contradictions - 1)
    return Math.max(0, this.#dueMs - this.#deps.clock.nowMs()) + further * this.#pace.intervalMs
  }

  /** Whether the last bad check had no answer in time, and a good one came within `withinMs`. */
  isLate(withinMs: number): boolean {
    return this.#isSilent && this.#deps.clock.nowMs() - this.#goodMs < withinMs
  }

  /** Nothing is told after this, also not of a check under way. */
  close(): void {
    clearTimeout(this.#timer)
    this.#closing.abort()
    this.removeAllListeners()
  }

  async #run(): Promise<void> {
    const { check, clock, random } = this.#deps
    const { signal } = this.#closing
    this.#dueMs = clock.nowMs() + jittered(this.#pace.intervalMs, random)
    const verdict = await check(signal)
    if (signal.aborted) return
    this.#judge(verdict)
    this.#timer = setTimeout(() => void this.#run(), Math.max(0, this.#dueMs - clock.nowMs())).unref()
  }

  #judge(verdict: HealthVerdict): void {
    const isGood = verdict.kind === 'good'
    if (verdict.kind === 'good') this.#goodMs = this.#deps.clock.nowMs()
    else this.#isSilent = verdict.isSilent === true
    const needed = isGood ? this.#pace.healthyAfter : this.#pace.unhealthyAfter
    this.#contradictions = isGood === this.#isHealthy ? 0 : this.#contradictions + 1
    const isTurn = this.#contradictions > 0 && (this.#isFirst || this.#contradictions >= needed)
    this.#isFirst = false
    if (!isTurn) return
    this.#isHealthy = isGood
    this.#contradictions = 0
    if (verdict.kind === 'good') this.emit('healthy')
    else this.emit('unhealthy', verdict.reason)
  }
}
