import { setTimeout as delay } from 'node:timers/promises'
import type { JobChanges } from '../jobs/job-changes.ts'
import type { JobStore } from '../jobs/job-store.ts'
import { hasEnded, type Job } from '../jobs/job.ts'

/** Told of what a job has become; undefined: it is gone, or nothing more will be told of it here. */
export type JobListener = (job: Job | undefined) => void

interface Watch {
  readonly listeners: Set<JobListener>
  readonly over: AbortController
}

export interface JobFeedDeps {
  readonly store: JobStore
  readonly changes: JobChanges
  /** Aborts when this process is to stop. */
  readonly streams: AbortSignal
}

/** At most so often a job is read, whoever listens. */
const minPauseMs = 500

/** Watches jobs for those who listen: one reading for all of a job's listeners, and none for a job without. */
export class JobFeed {
  readonly #deps: JobFeedDeps
  readonly #watches = new Map<string, Watch>()

  constructor(parts: JobFeedDeps) {
    this.#deps = parts
  }

  /**
   * Tells a listener of each change until the job ends, which it is told too, or this process stops.
   * @returns ends the listening
   */
  listen(id: string, listener: JobListener): () => void {
    const watch = this.#watches.get(id) ?? this.#begin(id)
    watch.listeners.add(listener)
    return () => {
      watch.listeners.delete(listener)
      if (watch.listeners.size === 0) this.#end(id, watch)
    }
  }

  #begin(id: string): Watch {
    const watch = { listeners: new Set<JobListener>(), over: new AbortController() }
    this.#watches.set(id, watch)
    void this.#follow(id, watch)
    return watch
  }

  #end(id: string, watch: Watch): void {
    watch.over.abort()
    if (this.#watches.get(id) === watch) this.#watches.delete(id)
  }

  /** Never rejects. */
  async #follow(id: string, watch: Watch): Promise<void> {
    const signal = AbortSignal.any([watch.over.signal, this.#deps.streams])
    while (!signal.aborted) {
      const change = this.#deps.changes.next(id, signal)
      const seen = await this.#see(id)
      if (seen.kind === 'job' && !watch.over.signal.aborted) for (const tell of watch.listeners) tell(seen.job)
      if (seen.kind === 'job' && (seen.job === undefined || hasEnded(seen.job))) return this.#end(id, watch)
      await Promise.all([change, delay(minPauseMs, undefined, { signal }).catch(() => {})])
    }
    if (this.#deps.streams.aborted) for (const tell of watch.listeners) tell(undefined)
    this.#end(id, watch)
  }

  /** `away`: the store does not answer now, which says nothing about the job. */
  async #see(id: string): Promise<{ readonly kind: 'job'; readonly job: Job | undefined } | { readonly kind: 'away' }> {
    try {
      return { kind: 'job', job: await this.#deps.store.read(id) }
    } catch {
      return { kind: 'away' }
    }
  }
}
