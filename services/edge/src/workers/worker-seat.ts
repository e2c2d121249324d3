import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import { RestartBackoff } from './restart-backoff.ts'
import type { WorkerEnd, WorkerProcess } from './worker-process.ts'

export interface WorkerSeatOptions<Config> {
  readonly fork: () => WorkerProcess<Config>
  readonly onServing: (worker: WorkerProcess<Config>) => void
  readonly onEnded: (worker: WorkerProcess<Config>, end: WorkerEnd) => void
  readonly onReplaced: () => void
  /** Whether one that could not even start is tried again. */
  readonly retry: () => boolean
  readonly logger: Logger
}

/** A place that one worker after the other fills: who dies unasked is replaced. */
export class WorkerSeat<Config> {
  readonly #options: WorkerSeatOptions<Config>
  readonly #backoff = new RestartBackoff()
  readonly #retired = new AbortController()
  readonly #filled: Promise<void>
  #worker: WorkerProcess<Config>

  constructor(options: WorkerSeatOptions<Config>) {
    this.#options = options
    this.#worker = this.#fill()
    this.#filled = this.#keepFilled()
  }

  /** The one that sits there, or sat there last. */
  get worker(): WorkerProcess<Config> {
    return this.#worker
  }

  /** Has its worker finish what is in flight, kills it after `withinMs`, and is left empty. Resolves when it is. */
  async retire(withinMs: number): Promise<void> {
    this.#retired.abort()
    const worker = this.#worker
    worker.stop()
    const timer = setTimeout(() => this.#killSlow(worker), withinMs)
    await this.#filled
    clearTimeout(timer)
  }

  #fill(): WorkerProcess<Config> {
    const worker = this.#options.fork()
    void this.#announce(worker)
    return worker
  }

  async #announce(worker: WorkerProcess<Config>): Promise<void> {
    const { kind } = await worker.started
    if (kind === 'ready') this.#options.onServing(worker)
  }

  async #keepFilled(): Promise<void> {
    for (;;) {
      const worker = this.#worker
      const end = await worker.ended
      this.#options.onEnded(worker, end)
      const { kind } = await worker.started
      if (this.#retired.signal.aborted || (kind === 'failed' && !this.#options.retry())) return
      if (!(await this.#mourn(worker, end))) return
      this.#options.onReplaced()
      this.#worker = this.#fill()
    }
  }

  /** @returns whether the place is still wanted after the wait */
  async #mourn({ pid }: WorkerProcess<Config>, { code, signal, reason, livedMs }: WorkerEnd): Promise<boolean> {
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
