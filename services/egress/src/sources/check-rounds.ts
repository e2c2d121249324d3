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

/** Sources whose checks are compared with each other. */
export type SourceKind = 'IPv4' | 'IPv6' | 'parents'

interface CheckRoundsEvents {
  /** Its checks keep it out. Emitted in each such round. */
  failing: [source: LiveSource]
  /** Its checks no longer keep it out. */
  recovered: [source: LiveSource]
  /** What is checked with is not reached from any source of this kind, of which one was told why. Emitted when it begins. */
  targetLost: [kind: SourceKind, reason: string]
  targetBack: [kind: SourceKind]
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
  readonly #lost = new Set<SourceKind>()
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
    this.#tellTarget(round)
    for (const [source, reason] of round.toBlame()) source.health.failed('check_failed', reason)
    for (const source of this.#sources) if (source.health.isFailing) this.emit('failing', source)
    this.#timer = setTimeout(() => void this.#run(), this.dueInMs).unref()
  }

  #tellTarget({ reachedBy, reasons }: Round): void {
    for (const kind of reachedBy) if (this.#lost.delete(kind)) this.emit('targetBack', kind)
    for (const [kind, reason] of reasons) {
      if (reachedBy.has(kind) || this.#lost.has(kind)) continue
      this.#lost.add(kind)
      this.emit('targetLost', kind, reason)
    }
  }

  async #check(source: LiveSource, round: Round): Promise<void> {
    const { signal } = this.#closing
    if (signal.aborted) return
    const verdict = await this.#deps.check(source.source(), signal)
    if (signal.aborted) return
    const { kind } = verdict
    const { health } = source
    const wasFailing = health.isFailing
    if (kind === 'good') round.reached(source)
    if (kind === 'failed') round.missed(source, verdict.reason)
    if (kind === 'not_ours') health.isNotOurs()
    if (kind === 'parent_failed') health.failed(kind, verdict.reason)
    if (wasFailing && !health.isFailing) this.emit('recovered', source)
  }
}

function kindOf({ entry }: LiveSource): SourceKind {
  return entry.family === undefined ? 'parents' : entry.family === 4 ? 'IPv4' : 'IPv6'
}

/** The results of one round so far. */
class Round {
  readonly reachedBy = new Set<SourceKind>()
  /** Why one of each kind missed it. */
  readonly reasons = new Map<SourceKind, string>()
  readonly #missedBy = new Map<LiveSource, string>()

  reached(source: LiveSource): void {
    this.reachedBy.add(kindOf(source))
    source.health.succeeded()
  }

  missed(source: LiveSource, reason: string): void {
    this.#missedBy.set(source, reason)
    this.reasons.set(kindOf(source), reason)
    source.health.isOurs()
  }

  /** The sources that missed a target that others of their kind have reached, and why. */
  toBlame(): readonly (readonly [source: LiveSource, reason: string])[] {
    return [...this.#missedBy].filter(([source]) => this.reachedBy.has(kindOf(source)))
  }
}
