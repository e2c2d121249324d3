import { within } from '@ipfleet/core/within.ts'
import type { Subscriber } from '@ipfleet/redis/subscriber.ts'
import type { JobNames } from './job-keys.ts'

/** Messages may be lost, so that waiting ends after this in any case. */
const lookAgainMs = 1000

/** Announces changes of jobs in this process, with one subscription. */
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

  /** Called for jobs that are not to be worked on any more; messages may be lost. */
  onCancelled(listener: (id: string) => void): void {
    this.#cancelListeners.add(listener)
  }

  /** Announces it in this process at once. */
  cancelled(id: string): void {
    for (const listener of this.#cancelListeners) listener(id)
  }

  /**
   * Resolves when the job has changed, after a second without a message, or when the signal aborts. Call it before
   * reading the job, so that no change falls in between, and await it after.
   */
  async next(id: string, signal?: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiting = this.#waiting.getOrInsert(id, new Set()).add(resolve)
    const giveUp = (): void => resolve()
    signal?.addEventListener('abort', giveUp)
    if (signal?.aborted === true) resolve()
    await within(lookAgainMs, promise)
    signal?.removeEventListener('abort', giveUp)
    waiting.delete(resolve)
    if (waiting.size === 0) this.#waiting.delete(id)
  }
}
