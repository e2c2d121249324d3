import type { JobStore } from '../jobs/job-store.ts'

interface Held {
  readonly controller: AbortController
  holders: number
}

/** Lets the work on a job stop when the job is cancelled, whoever has cancelled it. */
export class JobSignals {
  readonly #held = new Map<string, Held>()

  /** @returns a signal that aborts when the job is cancelled, or when `stopping` does */
  hold(job: string, stopping: AbortSignal): { readonly signal: AbortSignal; readonly release: () => void } {
    const held = this.#held.get(job) ?? { controller: new AbortController(), holders: 0 }
    this.#held.set(job, held)
    held.holders += 1
    const release = (): void => {
      held.holders -= 1
      if (held.holders === 0 && this.#held.get(job) === held) this.#held.delete(job)
    }
    return { signal: AbortSignal.any([held.controller.signal, stopping]), release }
  }

  cancel(job: string): void {
    this.#held.get(job)?.controller.abort(new Error('the job is cancelled'))
    this.#held.delete(job)
  }

  /** Cancels what has ended without anybody telling this process: messages may be lost. */
  async look(store: JobStore): Promise<void> {
    for (const job of this.#held.keys()) {
      const state = (await store.read(job))?.state
      if (state === undefined || state === 'cancelled') this.cancel(job)
    }
  }
}
