import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import type { BatchReply } from '@ipfleet/fleet-client/batch-client.ts'
import type { TokenBucket } from '@ipfleet/rate-limit/policy.ts'
import type { RateLimiter } from '@ipfleet/rate-limit/rate-limiter.ts'
import { AdaptiveLimit } from './adaptive-limit.ts'

/**
 * Why nothing is looked up for a while: upstream's breaker is open, all keys are benched, the fleet has refused or not
 * answered, or there is no room for results.
 */
export const pauseReasons = ['upstream', 'keys', 'fleet', 'storage'] as const
export type PauseReason = (typeof pauseReasons)[number]

export interface LookupGateOptions {
  /** Batches under way at a time. */
  readonly maxConcurrency: number
  /** Addresses a second over all workers; 0: no ceiling. */
  readonly maxRps: number
  readonly limiter: RateLimiter
  /** Of the time that batches may take beside live look-ups; 100: no throttling. */
  readonly liveSharePercent: number
  readonly clock?: Clock
}

/** Addresses of a batch. Fewer let a live look-up behind it wait for less; more are cheaper. */
const batchSize = { alone: 500, besideLive: 100 } as const
/** The fleet counts as free of live look-ups so long after the last answer that reported some. */
const believedMs = 3000
const maxRestMs = 2000
/** A pause may become longer while its end is awaited. */
const lookAgainMs = 250

/**
 * Decides when this process asks for a batch, and how large that is. A batch passes when nothing is paused, the ceiling has
 * room, and live look-ups have their share: a replica does one thing at a time, so that while it has live look-ups, one
 * batch is under way at a time, with a rest after each.
 *
 * `paused`: there was no pause of that reason before.
 */
export class LookupGate extends EventEmitter<{ paused: [reason: PauseReason, durationMs: number] }> {
  readonly #limiter: RateLimiter
  readonly #ceiling: TokenBucket | undefined
  readonly #liveShare: number
  readonly #clock: Clock
  readonly #limit: AdaptiveLimit
  readonly #pausedUntilMs = new Map<PauseReason, number>()
  #liveUntilMs = -Infinity
  #restUntilMs = -Infinity
  #lastTurn: Promise<unknown> = Promise.resolve()

  constructor({ maxConcurrency, maxRps, limiter, liveSharePercent, clock = monotonicClock }: LookupGateOptions) {
    super()
    this.#limiter = limiter
    this.#ceiling = maxRps === 0 ? undefined : { kind: 'token-bucket', burst: maxRps, refillPerSecond: maxRps }
    this.#liveShare = liveSharePercent / 100
    this.#clock = clock
    this.#limit = new AdaptiveLimit({ max: maxConcurrency })
  }

  /** How many batches are to be under way at a time. */
  get concurrency(): number {
    return this.#limit.limit
  }

  /** Addresses of the next batch. */
  get batchSize(): number {
    return Math.min(this.#isBesideLive ? batchSize.besideLive : batchSize.alone, this.#ceiling?.burst ?? Infinity)
  }

  /** From now on for that long, unless a longer pause is there. */
  pause(reason: PauseReason, durationMs: number): void {
    if (!this.isPaused(reason)) this.emit('paused', reason, durationMs)
    const untilMs = this.#clock.nowMs() + durationMs
    this.#pausedUntilMs.set(reason, Math.max(untilMs, this.#pausedUntilMs.get(reason) ?? -Infinity))
  }

  isPaused(reason: PauseReason): boolean {
    return (this.#pausedUntilMs.get(reason) ?? -Infinity) > this.#clock.nowMs()
  }

  reasons(): PauseReason[] {
    return pauseReasons.filter((reason) => this.isPaused(reason))
  }

  /** Asks for so many addresses when they may pass, and learns from the reply. @throws the signal's reason */
  async pass(addresses: number, signal: AbortSignal, ask: () => Promise<BatchReply>): Promise<BatchReply> {
    const endTurn = this.#isBesideLive ? await this.#turn(signal) : undefined
    try {
      await this.#unpaused(signal)
      await this.#takeFromCeiling(addresses, signal)
      const reply = await ask()
      this.#learn(reply)
      return reply
    } finally {
      endTurn?.()
    }
  }

  get #isBesideLive(): boolean {
    return this.#liveShare < 1 && this.#liveUntilMs > this.#clock.nowMs()
  }

  /** Waits for the batch before, and for the rest after it. @returns what ends the turn */
  async #turn(signal: AbortSignal): Promise<() => void> {
    const before = this.#lastTurn
    const own = Promise.withResolvers<void>()
    this.#lastTurn = own.promise
    try {
      await before
      const restMs = this.#restUntilMs - this.#clock.nowMs()
      if (restMs > 0) await sleep(restMs, undefined, { signal })
      return own.resolve
    } catch (error) {
      own.resolve()
      throw error
    }
  }

  async #unpaused(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    for (;;) {
      const leftMs = Math.max(0, ...this.#pausedUntilMs.values()) - this.#clock.nowMs()
      if (leftMs <= 0) return
      await sleep(Math.min(leftMs, lookAgainMs), undefined, { signal })
    }
  }

  async #takeFromCeiling(addresses: number, signal: AbortSignal): Promise<void> {
    if (this.#ceiling === undefined) return
    for (;;) {
      const decision = await this.#limiter.take('all', this.#ceiling, addresses)
      if (decision.kind === 'allowed') return
      await sleep(Math.max(1, decision.retryAfterMs), undefined, { signal })
    }
  }

  #learn(reply: BatchReply): void {
    if (reply.kind === 'failed') return this.#limit.refused()
    const { durationMs, liveRate } = reply
    this.#limit.answered(durationMs)
    const nowMs = this.#clock.nowMs()
    if (liveRate > 0) this.#liveUntilMs = nowMs + believedMs
    if (this.#isBesideLive) this.#restUntilMs = nowMs + Math.min(maxRestMs, durationMs * (1 / this.#liveShare - 1))
  }
}
