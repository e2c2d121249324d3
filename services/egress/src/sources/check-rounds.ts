import { EventEmitter } from 'node:events'
import type { Clock } from '@ipfleet/core/clock.ts'
import type { LiveSource } from './live-source.ts'
import type { SourceCheck } from './source-pool.ts'
import { jittered } from '@ipfleet/core/jitter.ts'

export interface CheckRoundsDeps {
  readonly check: SourceCheck
  readonly clock: Clock
  readonly random: () => number
  /** From the beginning of one round to the next; a round that takes longer is followed by the next at once. */
  readonly intervalMs: number
}

interface CheckRoundsEvents {
  /** Its checks keep it out. Emitted in each such round. */
  failing: [source: LiveSource]
  /** Its checks no longer keep it out. */
  recovered: [source: LiveSource]
}

/** Limits the file descriptors that the checks of a large pool take. */
const maxAtOnce = 64

/**
 * Checks all sources in rounds. Whether this machine has an address, or reaches a parent, counts at once. Whether the
 * target was reached counts at the end of a round: if no address of a family (of parents: no parent) reached it, the
 * target or the network is to blame, and no source is taken out. The time between rounds varies by a tenth, so that
 * many replicas do not check at the same moment.
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

  /** The time until the next round. */
  get dueInMs(): number {
    return Math.max(0, this.#dueMs - this.#deps.clock.nowMs())
  }

  /** The first round begins now. */
  start(): void {
    if (this.#sources.length > 0) void this.#run()
  }

  /** No event follows, not even of checks in flight. */
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
    if (kind === 'parent_failed') health.failed(kind)
    if (wasFailing && !health.isFailing) this.emit('recovered', source)
  }
}

/** The results of one round so far. */
class Round {
  readonly #reachedBy = new Set<4 | 6 | undefined>()
  readonly #missedBy: LiveSource[] = []

  reached({ entry, health }: LiveSource): void {
    this.#reachedBy.add(entry.family)
    health.succeeded()
  }

  missed(source: LiveSource): void {
    this.#missedBy.push(source)
    source.health.isOurs()
  }

  /** The sources that missed a target that others of their family have reached. */
  toBlame(): readonly LiveSource[] {
    return this.#missedBy.filter(({ entry }) => this.#reachedBy.has(entry.family))
  }
}
