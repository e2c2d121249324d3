import { EventEmitter } from 'node:events'
import type { Clock } from '@ipfleet/core/clock.ts'
import type { LiveSource } from './live-source.ts'
import type { SourceCheck } from './source-check.ts'
import { jittered } from '@ipfleet/core/jitter.ts'

export interface CheckRoundsDeps {
  readonly check: SourceCheck
  readonly clock: Clock
  /** From 0 to 1. */
  readonly random: () => number
  /** From the beginning of one round to the next; a round that takes longer is followed by the next at once. */
  readonly intervalMs: number
}

interface CheckRoundsEvents {
  /** Its checks keep it out: told in each round in which they do. */
  failing: [source: LiveSource]
  /** They no longer do. */
  recovered: [source: LiveSource]
}

/** A large pool must not take all file descriptors of the process for its checks. */
const maxAtOnce = 64

/**
 * Checks all sources again and again. That an address is not this machine's, or that it is, counts at once. What the
 * checks of a round say of the way to their target is weighed when it is over: a target that no address of a family
 * reaches is itself to blame, or the network, and takes nobody out. The time between rounds varies by a tenth, so
 * that many replicas do not check together.
 */
export class CheckRounds extends EventEmitter<CheckRoundsEvents> {
  readonly #sources: readonly LiveSource[]
  readonly #deps: CheckRoundsDeps
  readonly #closing = new AbortController()
  #dueMs = 0
  #timer: NodeJS.Timeout | undefined

  constructor(sources: readonly LiveSource[], deps: CheckRoundsDeps) {
    super()
    this.#sources = sources.filter(({ entry }) => entry.kind !== 'system')
    this.#deps = deps
  }

  /** How soon the next round begins. */
  get dueInMs(): number {
    return Math.max(0, this.#dueMs - this.#deps.clock.nowMs())
  }

  /** The first round begins now. */
  start(): void {
    if (this.#sources.length > 0) void this.#run()
  }

  /** Nothing is told after this, also not of checks under way. */
  close(): void {
    clearTimeout(this.#timer)
    this.#closing.abort()
    this.removeAllListeners()
  }

  async #run(): Promise<void> {
    const { clock, random, intervalMs } = this.#deps
    this.#dueMs = clock.nowMs() + jittered(intervalMs, random)
    const round = new Round()
    const waiting = this.#sources.values()
    const checkInTurn = async (): Promise<void> => {
      for (const source of waiting) await this.#check(source, round)
    }
    await Promise.all(Array.from({ length: Math.min(maxAtOnce, this.#sources.length) }, checkInTurn))
    if (this.#closing.signal.aborted) return
    for (const source of round.toBlame()) source.health.failed()
    for (const source of this.#sources) if (source.health.isFailing) this.emit('failing', source)
    this.#timer = setTimeout(() => void this.#run(), this.dueInMs).unref()
  }

  async #check(source: LiveSource, round: Round): Promise<void> {
    const { signal } = this.#closing
    if (signal.aborted) return
    const { kind } = await this.#deps.check(source.source(), signal)
    if (signal.aborted) return
    const { health } = source
    const wasFailing = health.isFailing
    if (kind === 'good') round.reached(source)
    if (kind === 'failed') round.missed(source)
    if (kind === 'not_ours') health.isNotOurs()
    if (wasFailing && !health.isFailing) this.emit('recovered', source)
  }
}

/** What the checks of one round have said so far. */
class Round {
  readonly #reachedBy = new Set<4 | 6>()
  readonly #missedBy: LiveSource[] = []

  reached({ entry, health }: LiveSource): void {
    this.#reachedBy.add(entry.family)
    health.succeeded()
  }

  missed(source: LiveSource): void {
    this.#missedBy.push(source)
    source.health.isOurs()
  }

  /** Those that missed a target that others of their family have reached. */
  toBlame(): readonly LiveSource[] {
    return this.#missedBy.filter(({ entry }) => this.#reachedBy.has(entry.family))
  }
}
