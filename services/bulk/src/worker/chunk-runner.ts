import { setTimeout as sleep } from 'node:timers/promises'
import { withRequestId } from '@ipfleet/http-server/request-id.ts'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import { addressIn } from '../input/chunker.ts'
import type { Begun, ChunkResult, Finished, JobStore } from '../jobs/job-store.ts'
import { backoffMs } from '@ipfleet/core/backoff.ts'
import type { FleetLookups, LookupResult } from '../lookups/fleet-lookups.ts'
import type { Pauses } from '../lookups/pauses.ts'
import type { ChunkTask } from './chunk-queue.ts'
import type { TaskOutcome } from './chunk-workers.ts'
import { chunkResult } from './chunk-result.ts'
import type { JobSignals } from './job-signals.ts'
import type { UnitBudgets } from './unit-budgets.ts'

export interface ChunkRunnerDeps {
  readonly store: JobStore
  readonly lookups: FleetLookups
  readonly pauses: Pauses
  readonly budgets: UnitBudgets
  /** Whether more results may be kept for a client (`Job.holder`). */
  readonly mayGrow: (holder: string) => Promise<boolean>
  readonly signals: JobSignals
  /** A chunk has its results now. */
  readonly onDone: (chunk: DoneChunk) => void
  /** The job may have come to its end, with this chunk or before it: whoever is to be told of that, is to be told. */
  readonly notifyEnd: (job: string) => Promise<void>
}

export interface DoneChunk {
  readonly job: string
  /** It was the last one. */
  readonly completesJob: boolean
  readonly lines: number
  readonly answered: number
  readonly durationMs: number
}

const noRoomPauseMs = 5000
const done: TaskOutcome = { kind: 'done' }

/** Does chunks: inputs → distinct addresses → look-ups → one result line for each input, kept once. */
export class ChunkRunner {
  readonly #deps: ChunkRunnerDeps
  #active = 0

  constructor(parts: ChunkRunnerDeps) {
    this.#deps = parts
  }

  /** Chunks under way here. */
  get active(): number {
    return this.#active
  }

  /** @param stopping aborts when the chunk is to be handed back */
  async run({ job, index }: ChunkTask, stopping: AbortSignal): Promise<TaskOutcome> {
    this.#active += 1
    const { signal, release } = this.#deps.signals.hold(job, stopping)
    try {
      return await this.#runUnder(job, index, signal)
    } catch (error) {
      if (stopping.aborted) return { kind: 'later', afterMs: 0 }
      // Cancelled.
      if (signal.aborted) return done
      if (error instanceof RedisUnavailable) return { kind: 'later', afterMs: backoffMs(4) }
      throw error
    } finally {
      release()
      this.#active -= 1
    }
  }

  /** Nobody could do it: each of its inputs gets an error. */
  async giveUp({ job, index }: ChunkTask): Promise<void> {
    const begun = await this.#deps.store.begin(job, index)
    if (begun.kind !== 'inputs') return
    await this.#keep(job, index, chunkResult(begun, new Map(), 0), new AbortController().signal)
  }

  async #runUnder(job: string, index: number, signal: AbortSignal): Promise<TaskOutcome> {
    const { store, budgets, mayGrow, notifyEnd } = this.#deps
    const begun = await store.begin(job, index)
    if (begun.kind === 'gone') return done
    if (begun.kind === 'finished') {
      // The worker that kept them may have died before it told.
      await notifyEnd(job)
      return done
    }
    if (!(await mayGrow(begun.holder))) {
      await store.noteWaiting(job)
      return { kind: 'later', afterMs: noRoomPauseMs }
    }
    const waitMs = await budgets.waitMs(begun.owner)
    if (waitMs > 0) return { kind: 'later', afterMs: waitMs }
    return withRequestId(begun.requestId, () => this.#lookUp(job, index, begun, signal))
  }

  /** The look-ups, and what is logged on the way, go by the id of the request that brought the job. */
  async #lookUp(
    job: string,
    index: number,
    begun: Extract<Begun, { kind: 'inputs' }>,
    signal: AbortSignal,
  ): Promise<TaskOutcome> {
    const startedMs = performance.now()
    const { lookups, budgets, onDone } = this.#deps
    const addresses = distinctAddresses(begun.inputs)
    const found: LookupResult = await lookups.lookUp([...addresses], signal, (units) =>
      budgets.charge(begun.owner, units),
    )
    const result = chunkResult(begun, found.values, found.cached)
    const finished = await this.#keep(job, index, result, signal)
    if (finished === 'stored' || finished === 'completed') {
      const { lines, answered } = result
      const durationMs = performance.now() - startedMs
      onDone({ job, completesJob: finished === 'completed', lines, answered, durationMs })
    }
    return done
  }

  /** Keeps results until Redis has taken them: they have cost something. */
  async #keep(job: string, index: number, result: ChunkResult, signal: AbortSignal): Promise<Finished> {
    const { store, pauses, notifyEnd } = this.#deps
    for (let failures = 1; ; failures += 1) {
      try {
        const finished = await store.finish(job, index, result)
        if (finished === 'completed' || finished === 'known') await notifyEnd(job)
        return finished
      } catch (error) {
        if (!(error instanceof RedisUnavailable) || error.reason === 'reply') throw error
        // Nothing more is looked up meanwhile for which there might be no room either.
        if (error.reason === 'full') pauses.pause('storage', noRoomPauseMs)
        await sleep(backoffMs(failures), undefined, { signal })
      }
    }
  }
}

function distinctAddresses(inputs: readonly string[]): Set<string> {
  const addresses = new Set<string>()
  for (const input of inputs) {
    const address = addressIn(input)
    if (address !== undefined) addresses.add(address)
  }
  return addresses
}
