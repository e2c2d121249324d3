import { type Clock, monotonicClock } from '@ipfleet/clock/clock.ts'
import { ProxyError } from '@ipfleet/errors/proxy-error.ts'
import { LocalFlight } from '@ipfleet/flight/local-flight.ts'
import type { AnswerStore } from './answer-store.ts'
import { Entry } from './entry.ts'
import type { LruStore } from './lru-store.ts'
import type { Failure, Origin, Outcome, SharedOutcome } from './outcome.ts'

/** Where an answer came from: memory, Redis, a load of this request, or a load that another request had begun. */
export type Source = 'l1' | 'l2' | 'upstream' | 'collapsed'

export type Finding =
  | { readonly kind: 'found'; readonly source: Source; readonly entry: Entry; readonly origin?: Origin }
  | {
      readonly kind: 'failed'
      readonly source: 'upstream' | 'collapsed'
      readonly failure: Failure
      /** The last good answer, if it is not too old to be of use. */
      readonly stale: Entry | undefined
      readonly origin?: Origin
    }

export type Load = () => Promise<Outcome>

/** One load per question in the whole fleet; see `FleetFlight`. */
export interface FleetLoad {
  /** `published`: the outcome is the fleet's own. A load whose lease was lost must not overwrite what came after. */
  run(
    question: string,
    load: Load,
    deadlineMs: number,
  ): Promise<{ outcome: SharedOutcome; led: boolean; published: boolean }>
}

export interface TieredCacheParts {
  readonly memory: LruStore
  readonly shared: AnswerStore
  readonly flight: FleetLoad
  /** Whether an error means that Redis gave no answer, as opposed to a fault of ours. */
  readonly isAway: (error: unknown) => boolean
  /** How long past its freshness an answer beats none. */
  readonly staleForMs: number
  readonly clock?: Clock
}

/**
 * Memory, then Redis, then one load for the fleet. The failure policy for Redis is here and nowhere else: what it
 * cannot answer counts as not found, and what it cannot coordinate is done by this process for itself.
 */
export class TieredCache {
  readonly #memory: LruStore
  readonly #shared: AnswerStore
  readonly #flight: FleetLoad
  readonly #isAway: (error: unknown) => boolean
  readonly #staleForMs: number
  readonly #clock: Clock
  readonly #inFlight = new LocalFlight<Finding>()
  #purges = 0

  constructor({ memory, shared, flight, isAway, staleForMs, clock = monotonicClock }: TieredCacheParts) {
    this.#memory = memory
    this.#shared = shared
    this.#flight = flight
    this.#isAway = isAway
    this.#staleForMs = staleForMs
    this.#clock = clock
  }

  /**
   * The answer to a question. Loads are not tied to the caller: they go on, and are kept, when it hangs up.
   * @param deadlineMs monotonic; after it a waiter gives up with `upstream_timeout`.
   */
  async find(question: string, load: Load, deadlineMs: number): Promise<Finding> {
    const held = this.#memory.getServable(question, this.#clock.nowMs())
    if (held) return { kind: 'found', source: 'l1', entry: held }
    // Whoever asks after a purge does not join a load from before it.
    const subject = `${this.#purges}:${question}`
    const { result, joined } = await this.#inFlight.run(subject, () => this.#findBeyond(question, load, deadlineMs))
    return joined && result.source === 'upstream' ? { ...result, source: 'collapsed' } : result
  }

  /** Keeps in memory what was made from an entry, for as long as the entry itself would be. */
  remember(question: string, made: Entry): void {
    const nowMs = this.#clock.nowMs()
    if (made.freshLeftMs(nowMs) > 0) this.#memory.set(question, made, nowMs)
  }

  /** Forgets what is in memory, and keeps what is being loaded right now from being remembered. */
  forget(): void {
    this.#purges += 1
    this.#memory.clear()
  }

  async #findBeyond(question: string, load: Load, deadlineMs: number): Promise<Finding> {
    const purges = this.#purges
    const held = this.#memory.get(question)
    const shared = await this.#lookIntoShared(question)
    if (shared !== 'away' && this.#isFresh(shared)) {
      if (purges === this.#purges) this.#memory.set(question, shared, this.#clock.nowMs())
      return { kind: 'found', source: 'l2', entry: shared }
    }
    if (shared === 'away' && this.#isFresh(held)) return { kind: 'found', source: 'l1', entry: held }
    const { outcome, led, published } = await this.#loadOnce(question, load, deadlineMs)
    const source = led ? 'upstream' : 'collapsed'
    const origin = led && outcome.origin ? { origin: outcome.origin } : {}
    if (outcome.kind === 'failure') {
      return { kind: 'failed', source, failure: outcome, stale: this.#usable(shared, held), ...origin }
    }
    const entry = new Entry(outcome.answer, this.#clock.nowMs(), outcome.freshForMs)
    if (outcome.freshForMs > 0 && purges === this.#purges) await this.#keep(question, entry, led && published)
    return { kind: 'found', source, entry, ...origin }
  }

  async #lookIntoShared(question: string): Promise<Entry | undefined | 'away'> {
    try {
      return await this.#shared.get(question)
    } catch (error) {
      if (this.#isAway(error)) return 'away'
      throw error
    }
  }

  async #loadOnce(
    question: string,
    load: Load,
    deadlineMs: number,
  ): Promise<{ outcome: Outcome; led: boolean; published: boolean }> {
    try {
      const { outcome, led, published } = await this.#flight.run(question, load, deadlineMs)
      if (outcome.kind !== 'unshared') return { outcome, led, published }
    } catch (error) {
      // A waiter whose own deadline passed; it must not load freely.
      if (error instanceof ProxyError) return { outcome: failureOf(error), led: false, published: true }
      if (!this.#isAway(error)) throw error
    }
    // The fleet cannot coordinate (or share something this large): this process loads for itself, once.
    return { outcome: await load(), led: true, published: true }
  }

  async #keep(question: string, entry: Entry, alsoShared: boolean): Promise<void> {
    this.#memory.set(question, entry, this.#clock.nowMs())
    if (!alsoShared) return
    try {
      await this.#shared.set(question, entry)
    } catch (error) {
      if (!this.#isAway(error)) throw error
    }
  }

  #isFresh(entry: Entry | undefined): entry is Entry {
    return entry !== undefined && entry.freshLeftMs(this.#clock.nowMs()) > 0
  }

  /** The younger of the two, if it is young enough. */
  #usable(shared: Entry | undefined | 'away', held: Entry | undefined): Entry | undefined {
    const nowMs = this.#clock.nowMs()
    const found = shared === 'away' ? undefined : shared
    const younger = (found?.storedAtMs ?? -Infinity) > (held?.storedAtMs ?? -Infinity) ? found : held
    return younger && younger.freshness(nowMs, this.#staleForMs) !== 'dead' ? younger : undefined
  }
}

function failureOf({ code, detail, retryAfterSeconds }: ProxyError): Failure {
  return {
    kind: 'failure',
    code,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    ...(detail === undefined ? {} : { detail }),
  }
}
