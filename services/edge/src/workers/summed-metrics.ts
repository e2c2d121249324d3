import { type Exposition, type ExpositionFormat, exposition } from '@ipfleet/telemetry/exposition.ts'
import type { Metrics } from '@ipfleet/telemetry/metrics.ts'
import { countedIn, type MetricsSnapshot, sumSnapshots } from '@ipfleet/telemetry/metrics-snapshot.ts'
import { within } from '@ipfleet/core/within.ts'

/** A process whose counts are added. */
export interface CountingProcess {
  /** Undefined when it is gone. */
  snapshot(): Promise<MetricsSnapshot | undefined>
}

export interface SummedMetricsOptions {
  /** What is counted of the workers, not by them. */
  readonly own: Metrics
  /** How often every worker is asked, so that no more than this is lost of one that is killed. Default 2000. */
  readonly everyMs?: number
  /** A worker that takes longer is taken to hang. Default 1000. */
  readonly answerWithinMs?: number
}

/**
 * The workers' metrics as those of one process. A counter never goes back: of a worker that ended, or does not answer,
 * what it had last counted stays in the sum. Of one that was killed the last two seconds are lost, which no scrape
 * had shown.
 */
export class SummedMetrics {
  readonly #own: Metrics
  readonly #answerWithinMs: number
  /** What each worker said last. */
  readonly #last = new Map<CountingProcess, MetricsSnapshot>()
  readonly #timer: NodeJS.Timeout
  readonly #missed: { inc(): void }
  /** What those had counted that have ended. */
  #ended: MetricsSnapshot = []

  constructor({ own, everyMs = 2000, answerWithinMs = 1000 }: SummedMetricsOptions) {
    this.#own = own
    this.#answerWithinMs = answerWithinMs
    this.#missed = own.counter({
      name: 'ipfleet_edge_worker_silences_total',
      help: 'Times that a worker did not say within a second what it had counted.',
    })
    this.#timer = setInterval(() => void this.#askAll(), everyMs).unref()
  }

  add(worker: CountingProcess): void {
    this.#last.set(worker, [])
  }

  /** The worker has ended. `finalSnapshot`: what it said to that, if it could. */
  remove(worker: CountingProcess, finalSnapshot?: MetricsSnapshot): void {
    const last = finalSnapshot ?? this.#last.get(worker)
    this.#last.delete(worker)
    if (last !== undefined) this.#ended = sumSnapshots([this.#ended, countedIn(last)])
  }

  async render(format?: ExpositionFormat): Promise<Exposition> {
    const answered = await this.#askAll()
    const own = await this.#own.snapshot()
    // Put together without a pause: a worker that ends meanwhile must not be counted among both.
    const living = Array.from(this.#last, ([worker, last]) => (answered.has(worker) ? last : countedIn(last)))
    return exposition(sumSnapshots([...living, this.#ended, own]), format)
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** @returns those that answered in time */
  async #askAll(): Promise<ReadonlySet<CountingProcess>> {
    const answered = new Set<CountingProcess>()
    const askOne = async (worker: CountingProcess): Promise<void> => {
      if (await within(this.#answerWithinMs, this.#ask(worker))) answered.add(worker)
      else if (this.#last.has(worker)) this.#missed.inc()
    }
    await Promise.all(Array.from(this.#last.keys(), askOne))
    return answered
  }

  /** An answer that comes late is noted all the same. */
  async #ask(worker: CountingProcess): Promise<true | undefined> {
    const snapshot = await worker.snapshot()
    if (snapshot === undefined || !this.#last.has(worker)) return undefined
    this.#last.set(worker, snapshot)
    return true
  }
}
