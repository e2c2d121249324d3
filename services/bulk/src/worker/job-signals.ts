import type { JobChanges } from '../jobs/job-changes.ts'
import type { JobStore } from '../jobs/job-store.ts'

interface Held {
  readonly controller: AbortController
  holders: number
}

/** A process that received no message learns of a cancellation within this time. */
const lookEveryMs = 500

/** Stops the work on a job in this process when the job is cancelled. */
export class JobSignals {
  readonly #store: JobStore
  readonly #held = new Map<string, Held>()
  readonly #timer: NodeJS.Timeout

  constructor(store: JobStore, changes: JobChanges) {
    this.#store = store
    changes.onCancelled((job) => this.#cancel(job))
    this.#timer = setInterval(() => {
      this.#look().catch(() => {
        // Redis is down, and with it all work.
      })
    }, lookEveryMs).unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** @returns a signal that aborts when the job is cancelled, or when `stopping` does */
  hold(job: string, stopping: AbortSignal): { readonly signal: AbortSignal; readonly release: () => void } {
    const held = this.#held.getOrInsertComputed(job, () => ({ controller: new AbortController(), holders: 0 }))
    held.holders += 1
    const release = (): void => {
      held.holders -= 1
      if (held.holders === 0 && this.#held.get(job) === held) this.#held.delete(job)
    }
    return { signal: AbortSignal.any([held.controller.signal, stopping]), release }
  }

  #cancel(job: string): void {
    this.#held.get(job)?.controller.abort(new Error('the job is cancelled'))
    this.#held.delete(job)
  }

  async #look(): Promise<void> {
    for (const job of this.#held.keys()) {
      const state = (await this.#store.read(job))?.state
      if (state === undefined || state === 'cancelled') this.#cancel(job)
    }
  }
}
