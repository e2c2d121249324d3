import { hasEnded, isCallbackDue, type Job } from '../jobs/job.ts'
import type { JobStore } from '../jobs/job-store.ts'
import type { ChunkQueue } from './chunk-queue.ts'

export interface SweeperDeps {
  readonly store: JobStore
  readonly queue: ChunkQueue
  /** Queues the webhook of a job that has ended, once. */
  readonly notifyEnd: (job: string) => Promise<void>
  readonly onRepaired: (job: string, chunks: number) => void
  readonly everyMs?: number
}

/**
 * Repairs what was left half done: a job whose chunks are not in the queue (the process that took it died while it added
 * them, or the queue was lost), and a callback that was not queued. Every process may sweep: each addition is idempotent.
 */
export class Sweeper {
  readonly #deps: SweeperDeps
  #timer: NodeJS.Timeout | undefined

  constructor(deps: SweeperDeps) {
    this.#deps = deps
  }

  start(): void {
    const { everyMs = 30_000 } = this.#deps
    const sweep = (): void => {
      this.sweep().catch(() => {
        // Redis is down. The next sweep is soon enough.
      })
    }
    sweep()
    this.#timer = setInterval(sweep, everyMs).unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  async sweep(): Promise<void> {
    const pending = new Map<string, number>()
    for await (const job of this.#deps.store.all()) {
      if (job.state === 'receiving') continue
      const nth = (pending.get(job.holder) ?? 0) + 1
      pending.set(job.holder, hasEnded(job) ? nth - 1 : nth)
      if (!hasEnded(job)) await this.#addMissing(job, nth)
      else if (isCallbackDue(job)) await this.#deps.notifyEnd(job.id)
    }
  }

  async #addMissing({ id }: Job, nth: number): Promise<void> {
    const { store, queue, onRepaired } = this.#deps
    const left = (await store.extents(id)).filter(({ bytes }) => bytes === undefined).map(({ index }) => index)
    const [first] = left
    const last = left.at(-1)
    if (first === undefined || last === undefined) return
    // Chunks are added in their order, so that those that are lost are at one end.
    if ((await queue.has({ job: id, index: first })) && (await queue.has({ job: id, index: last }))) return
    // A chunk that was done just now is added too. A worker finds its results.
    await queue.add(id, left, nth)
    onRepaired(id, left.length)
  }
}
