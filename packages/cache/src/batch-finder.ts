import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import { BatchTrip, type BatchTripParts, type LoadMany } from './batch-trip.ts'
import type { Entry } from './entry.ts'
import { asJoined, bestOf, type Finding, type Found, isOthersPrivate, isOthersReserve } from './finding.ts'

export type { LoadMany } from './batch-trip.ts'

export interface BatchFinderParts extends Omit<BatchTripParts, 'clock' | 'random'> {
  readonly clock?: Clock
  /** From 0 to 1, for choosing what is refreshed early. */
  readonly random?: () => number
}

/**
 * As `TieredCache`, for many questions at once: memory, then one step to Redis for all, then one load for what is
 * left. What is in flight already, in this process or in the fleet, is waited for; whoever asks for one of these
 * questions meanwhile waits for the batch. The failure policy for Redis is the same.
 */
export class BatchFinder {
  readonly #parts: BatchTripParts

  constructor(parts: BatchFinderParts) {
    this.#parts = { clock: monotonicClock, random: Math.random, ...parts }
  }

  /**
   * What is found for each question. Loads are not tied to the caller: they go on, and are kept, when it hangs up.
   * @param deadlineMs monotonic; what others load and has not landed by then fails with `upstream_timeout`.
   * @param remembers whether memory keeps what is found
   */
  async find(
    questions: readonly string[],
    load: LoadMany,
    deadlineMs: number,
    remembers = true,
  ): Promise<ReadonlyMap<string, Finding>> {
    const find = (some: readonly string[]) =>
      this.#findOnce(some, new BatchTrip(this.#parts, load, remembers), deadlineMs)
    const found = await find(questions)
    while (this.#parts.clock.nowMs() < deadlineMs) {
      const left = [...found.keys()].filter((question) => {
        const finding = found.get(question)
        return isOthersReserve(finding) || isOthersPrivate(finding)
      })
      if (left.length === 0) break
      for (const [question, finding] of await find(left)) found.set(question, finding)
    }
    return found
  }

  /** What of them is in the caches and at most stale, without asking anyone else. */
  async findHeld(questions: readonly string[]): Promise<Map<string, Found>> {
    const { memory, clock, staleForMs } = this.#parts
    const nowMs = clock.nowMs()
    const found = new Map<string, Found>()
    for (const question of questions) {
      const entry = memory.getServable(question, nowMs)
      if (entry) found.set(question, { kind: 'found', source: 'l1', entry })
    }
    const left = questions.filter((question) => !found.has(question))
    const shared = await this.#lookIntoShared(left)
    for (const question of left) {
      const stored = shared.get(question)
      const entry = bestOf(stored, memory.get(question), nowMs, staleForMs)
      if (entry === undefined) continue
      const tier = entry === stored ? 'l2' : 'l1'
      found.set(question, { kind: 'found', source: entry.freshLeftMs(nowMs) > 0 ? tier : 'stale', entry })
    }
    return found
  }

  async #lookIntoShared(questions: readonly string[]): Promise<ReadonlyMap<string, Entry>> {
    try {
      return await this.#parts.shared.getMany(questions)
    } catch (error) {
      if (this.#parts.isAway(error)) return new Map()
      throw error
    }
  }

  async #findOnce(questions: readonly string[], trip: BatchTrip, deadlineMs: number): Promise<Map<string, Finding>> {
    const { cache, memory, clock } = this.#parts
    const { inFlight } = cache
    const nowMs = clock.nowMs()
    const found = new Map<string, Finding>()
    const joined: Promise<unknown>[] = []
    for (const question of new Set(questions)) {
      const held = memory.getServable(question, nowMs)
      const running = held ? undefined : inFlight.running(question)
      if (held) found.set(question, { kind: 'found', source: 'l1', entry: held })
      else if (running) joined.push(running.then((finding) => found.set(question, asJoined(finding))))
      else trip.take(question)
    }
    // All are taken by now, and nobody can have asked for them in between.
    const [own] = await Promise.all([trip.bringAll(deadlineMs), ...joined])
    if (found.size === 0) return own
    for (const [question, finding] of own) found.set(question, finding)
    return found
  }
}
