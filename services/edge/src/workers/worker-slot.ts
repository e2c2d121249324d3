import { setTimeout as sleep } from 'node:timers/promises'
import { exponentialMs } from '@ipfleet/core/backoff.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { WorkerEnd, WorkerProcess } from './worker-process.ts'

export interface WorkerSlotOptions<Config> {
  readonly fork: () => WorkerProcess<Config>
  readonly onServing: (worker: WorkerProcess<Config>) => void
  readonly onEnded: (worker: WorkerProcess<Config>, end: WorkerEnd) => void
  readonly onReplaced: () => void
  /** Whether one that could not even start is tried again. */
  readonly retry: () => boolean
  readonly logger: Logger
}

/** A worker that lived less has not got over its start. */
const youngMs = 5000
const backoff = { firstMs: 100, maxMs: 5000 }

/** How long a slot stays empty after its worker died: not at all, unless one after the other dies young. */
export class RestartBackoff {
  #diedYoung = 0

  /** @returns milliseconds to wait, given how long the worker that died had lived */
  afterMs(livedMs: number): number {
    this.#diedYoung = livedMs < youngMs ? this.#diedYoung + 1 : 0
    return this.#diedYoung < 2 ? 0 : exponentialMs(this.#diedYoung - 1, backoff)
  }
}

/** Runs one worker after the other: one that dies without being told to stop is replaced. */
export class WorkerSlot<Config> {
  readonly #options: WorkerSlotOptions<Config>
  readonly #backoff = new RestartBackoff()
  readonly #retired = new AbortController()
  readonly #ended: Promise<void>
  #worker: WorkerProcess<Config>

  constructor(options: WorkerSlotOptions<Config>) {
    this.#options = options
    this.#worker = this.#startWorker()
    this.#ended = this.#keepRunning()
  }

  /** The one that runs, or ran last. */
  get worker(): WorkerProcess<Config> {
    return this.#worker
  }

  /** Has its worker finish what is in flight, and kills it after `withinMs`. Resolves when it has ended. */
  async retire(withinMs: number): Promise<void> {
    this.#retired.abort()
    const worker = this.#worker
    worker.stop()
    const timer = setTimeout(() => this.#killSlow(worker), withinMs)
    await this.#ended
    clearTimeout(timer)
  }

  #startWorker(): WorkerProcess<Config> {
    const worker = this.#options.fork()
    void this.#announce(worker)
    return worker
  }

  async #announce(worker: WorkerProcess<Config>): Promise<void> {
    const { kind } = await worker.started
    if (kind === 'ready') this.#options.onServing(worker)
  }

  async #keepRunning(): Promise<void> {
    for (;;) {
      const worker = this.#worker
      const end = await worker.ended
      this.#options.onEnded(worker, end)
      const { kind } = await worker.started
      if (this.#retired.signal.aborted || (kind === 'failed' && !this.#options.retry())) return
      if (!(await this.#waitBeforeRestart(worker, end))) return
      this.#options.onReplaced()
      this.#worker = this.#startWorker()
    }
  }

  /** @returns whether the slot is still wanted after the wait */
  async #waitBeforeRestart(
    { pid }: WorkerProcess<Config>,
    { code, signal, reason, livedMs }: WorkerEnd,
  ): Promise<boolean> {
    const waitMs = this.#backoff.afterMs(livedMs)
    this.#options.logger.error({ pid, code, signal, reason, waitMs }, 'a worker ended and is replaced')
    try {
      await sleep(waitMs, undefined, { signal: this.#retired.signal })
    } catch {
      return false
    }
    return true
  }

  #killSlow(worker: WorkerProcess<Config>): void {
    this.#options.logger.warn({ pid: worker.pid }, 'a worker took too long to stop and is killed')
    worker.kill()
  }
}
