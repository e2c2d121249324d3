import { setTimeout as sleep } from 'node:timers/promises'
import { backoffMs } from '@ipfleet/core/backoff.ts'
import { withSpan } from '@ipfleet/core/span.ts'
import { chunkResult } from '@ipfleet/fleet-client/chunk-result.ts'
import type { LookUpResult } from '@ipfleet/fleet-client/look-up-all.ts'
import { withRequest } from '@ipfleet/http-server/request-id.ts'
import type { Tracer } from '@ipfleet/telemetry/tracing/tracer.ts'
import type { ClientGuard } from '@ipfleet/rate-limit/clients/client-guard.ts'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import { addressIn } from '@ipfleet/ip-lists/chunker.ts'
import { IpSummary } from '@ipfleet/ip-lists/ip-summary.ts'
import type { JobStore } from '../jobs/job-store.ts'
import type { Begun, Finished, SummedResult } from '../jobs/job.ts'
import type { StorageQuota } from '../limits/storage-quota.ts'
import type { FleetLookups } from '../lookups/fleet-lookups.ts'
import type { LookupGate } from '../lookups/lookup-gate.ts'
import type { ChunkTask } from './chunk-queue.ts'
import type { TaskOutcome } from './chunk-workers.ts'
import type { JobSignals } from './job-signals.ts'

export interface ChunkRunnerDeps {
  readonly tracer: Tracer
  readonly store: JobStore
  readonly lookups: FleetLookups
  readonly gate: Pick<LookupGate, 'pause'>
  /** Whose `units` jobs spend; undefined: no client has a budget. */
  readonly clients: ClientGuard | undefined
  readonly quota: StorageQuota
  readonly signals: JobSignals
  readonly onDone: (chunk: DoneChunk) => void
  /** The job may have ended, with this chunk or before it: its webhook is queued, once. */
  readonly notifyEnd: (job: string) => Promise<void>
}

export interface DoneChunk {
  readonly job: string
  /** It was the last one of its job. */
  readonly completesJob: boolean
  readonly lines: number
  readonly answered: number
  readonly durationMs: number
}

const noRoomPauseMs = 5000
/** Units may be back in a month, and a budget may be raised before. */
const maxUnitsWaitMs = 60_000
const done: TaskOutcome = { kind: 'done' }

/** Does chunks: inputs → distinct addresses → look-ups → one result line for each input, kept once. */
export class ChunkRunner {
  readonly #deps: ChunkRunnerDeps
  #active = 0

  constructor(deps: ChunkRunnerDeps) {
    this.#deps = deps
  }

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

  /** Each input of a chunk that could not be done gets an error. */
  async giveUp({ job, index }: ChunkTask): Promise<void> {
    const begun = await this.#deps.store.begin(job, index)
    if (begun.kind !== 'inputs') return
    await this.#keep(job, index, doneChunk(begun), new AbortController().signal)
  }

  async #runUnder(job: string, index: number, signal: AbortSignal): Promise<TaskOutcome> {
    const { store, quota, notifyEnd } = this.#deps
    const begun = await store.begin(job, index)
    if (begun.kind === 'gone') return done
    if (begun.kind === 'finished') {
      // The worker that kept the results may have died before it notified.
      await notifyEnd(job)
      return done
    }
    if (!(await quota.mayGrow(begun.holder))) {
      await store.noteWaiting(job)
      return { kind: 'later', afterMs: noRoomPauseMs }
    }
    const waitMs = await this.#unitsWaitMs(begun.owner)
    if (waitMs > 0) return { kind: 'later', afterMs: waitMs }
    // The request that brought the job gives its id and its trace to the look-ups and to what is logged on the way.
    const { request, inputs } = begun
    const attributes = () => ({ 'ipfleet.job': job, 'ipfleet.chunk': index, 'ipfleet.items': inputs.length })
    const span = this.#deps.tracer.begin({ name: 'chunk', kind: 'consumer', parent: request?.trace, attributes })
    try {
      return await withRequest(request, () => withSpan(span, () => this.#lookUp(job, index, begun, signal)))
    } finally {
      span?.end()
    }
  }

  /** How long work for a client waits for more of its `units`; 0: not at all. */
  async #unitsWaitMs(owner: string): Promise<number> {
    const decision = await this.#deps.clients?.unitsOf(owner)
    return decision?.kind === 'limited' ? Math.min(maxUnitsWaitMs, Math.max(1000, decision.retryAfterMs)) : 0
  }

  async #lookUp(
    job: string,
    index: number,
    begun: Extract<Begun, { kind: 'inputs' }>,
    signal: AbortSignal,
  ): Promise<TaskOutcome> {
    const startedMs = performance.now()
    const { lookups, clients, onDone } = this.#deps
    const found = await lookups.lookUp(distinctAddresses(begun.inputs), signal, (units) => {
      if (units > 0) clients?.chargeUnits(begun.owner, units)
    })
    const result = doneChunk(begun, found)
    const finished = await this.#keep(job, index, result, signal)
    if (finished === 'stored' || finished === 'completed') {
      const { lines, answered } = result
      const durationMs = performance.now() - startedMs
      onDone({ job, completesJob: finished === 'completed', lines, answered, durationMs })
    }
    return done
  }

  /** Tries until Redis has stored the results: they have cost units. */
  async #keep(job: string, index: number, result: SummedResult, signal: AbortSignal): Promise<Finished> {
    const { store, gate, notifyEnd } = this.#deps
    for (let failures = 1; ; failures += 1) {
      try {
        const finished = await store.finish(job, index, result)
        if (finished === 'completed' || finished === 'known') await notifyEnd(job)
        return finished
      } catch (error) {
        if (!(error instanceof RedisUnavailable) || error.reason === 'reply') throw error
        // No more is looked up meanwhile: there might be no room for it either.
        if (error.reason === 'full') gate.pause('storage', noRoomPauseMs)
        await sleep(backoffMs(failures), undefined, { signal })
      }
    }
  }
}

/** @param found undefined: no address could be looked up */
function doneChunk(begun: Extract<Begun, { kind: 'inputs' }>, found?: LookUpResult): SummedResult {
  const summary = new IpSummary()
  const result = chunkResult(begun, found?.values ?? new Map(), found?.cached ?? 0, summary)
  return { ...result, summary: summary.toPart() }
}

function distinctAddresses(inputs: readonly string[]): string[] {
  return [...new Set(inputs.map(addressIn).filter((address) => address !== undefined))]
}
