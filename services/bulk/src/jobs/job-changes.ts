import type { Subscriber } from '@ipfleet/redis/subscriber.ts'
import type { JobNames } from './job-keys.ts'
import { within } from '@ipfleet/core/within.ts'

/** Messages may be lost, so whoever waits looks again after this all the same. */
const lookAgainMs = 1000

/** Who waits for a job to change. One subscription for the process. */
export class JobChanges {
  readonly #waiting = new Map<string, Set<() => void>>()
  readonly #cancelListeners = new Set<(id: string) => void>()

  /** Begins to listen; never rejects. */
  async follow(subscriber: Subscriber, names: JobNames): Promise<void> {
    await subscriber.subscribe(names.changes, (id) => {
      for (const wake of this.#waiting.get(id) ?? []) wake()
    })
    await subscriber.subscribe(names.cancellations, (id) => this.cancelled(id))
  }

  /** Told of jobs on which no more work is to be done; messages may be lost. */
  onCancelled(listener: (id: string) => void): void {
    this.#cancelListeners.add(listener)
  }

  /** Tells this process at once. */
  cancelled(id: string): void {
    for (const listener of this.#cancelListeners) listener(id)
  }

  /**
   * Resolves when the job has changed, when it may have without anybody saying so, or when the signal aborts. Call it
   * before reading the job, so that no change falls in between, and await it after.
   */
  async next(id: string, signal?: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiting = this.#waiting.get(id) ?? new Set()
    this.#waiting.set(id, waiting)
    waiting.add(resolve)
    const giveUp = (): void => resolve()
    signal?.addEventListener('abort', giveUp)
    if (signal?.aborted === true) resolve()
    await within(lookAgainMs, promise)
    signal?.removeEventListener('abort', giveUp)
    waiting.delete(resolve)
    if (waiting.size === 0) this.#waiting.delete(id)
  }
}
