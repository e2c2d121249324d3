import { retryAfterMs } from '@ipfleet/http-server/retry-after.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { failure, JobCancelled } from './command-fault.ts'
import { FleetAway, type FleetReply, refusalOf, textOf } from '@ipfleet/fleet-client/fleet-client.ts'
import { findJob, type FleetAccess, type FleetJob, jobPath, readJob } from './fleet-job.ts'
import type { ResultOutput } from './output.ts'
import { type Again, type Attempt, isPassing } from '@ipfleet/fleet-client/retry-policy.ts'
import type { Tally } from './tally.ts'
import { countLines } from './whole-rows.ts'

export interface JobResultsDeps extends FleetAccess {
  readonly output: ResultOutput
  readonly tally: Tally
}

/** As often as progress is shown. An event stream would be one more connection to restore. */
const lookEveryMs = 1000

/**
 * Writes the results of a job as they come, beginning with the first missing line, until all are written. After a lost
 * connection it continues behind the last whole line.
 * @throws CommandFault when the job is cancelled, or the fleet does not answer for minutes; the signal's reason
 */
export async function followJob(id: string, deps: JobResultsDeps): Promise<FleetJob> {
  const watch = new AbortController()
  const watched = watchJob(id, deps, AbortSignal.any([deps.signal, watch.signal]))
  try {
    return await deps.retryPolicy.retry(() => nextResults(id, deps), deps.signal)
  } finally {
    watch.abort()
    await watched
  }
}

/** Reads results over one connection after the other, until all are there or nothing more comes. */
async function nextResults(id: string, deps: JobResultsDeps): Promise<Attempt<FleetJob>> {
  const { tally } = deps
  const atFirst = tally.done
  for (;;) {
    const before = tally.done
    const end = await readResults(id, deps)
    const isFruitless = tally.done === before
    if (typeof end === 'object' && isFruitless && !end.isSilence) return { ...end, isFirst: before > atFirst }
    const job = await findJob(id, deps)
    if (job === undefined) throw failure(`the job ${id} is there no more: it has expired or was removed`)
    showJob(job, tally)
    if (job.state === 'completed' && tally.done >= job.total) return { kind: 'done', value: job }
    if (job.state === 'cancelled' && typeof end !== 'object') throw new JobCancelled(id)
    if (end === 'foreign') throw failure('the next results are not those of the next rows of the list: it has changed')
    if (end === 'ended' && isFruitless) {
      return { kind: 'again', why: 'the fleet sends no results', isFirst: before > atFirst }
    }
  }
}

interface Lost extends Again {
  /** Nothing has come for a while, as when the job is paused. */
  readonly isSilence: boolean
}

/** `ended`: the results came to a regular end. `foreign`: the next one is of another row, as behind a gap. */
async function readResults(id: string, deps: JobResultsDeps): Promise<Lost | 'ended' | 'foreign'> {
  const { client, output, tally, signal } = deps
  try {
    const path = `${jobPath(id)}/results?format=ndjson&follow=1&cursor=${tally.done}`
    const reply = await client.ask({ path, signal })
    if (reply.status !== 200) return await refusedResults(reply)
    let rest: Buffer = Buffer.alloc(0)
    for await (const piece of reply.pieces()) {
      const text = rest.length === 0 ? piece : Buffer.concat([rest, piece])
      const end = text.lastIndexOf(0x0a) + 1
      const lines = text.subarray(0, end)
      rest = text.subarray(end)
      deps.retryPolicy.succeeded()
      const written = await output.addLines(lines)
      tally.wrote(written)
      signal.throwIfAborted()
      if (written < countLines(lines)) return 'foreign'
    }
    return 'ended'
  } catch (error) {
    if (!(error instanceof FleetAway)) throw error
    return { kind: 'again', why: error.message, isSilence: error.isSilence }
  }
}

/** @throws CommandFault for a refusal that no repetition helps */
async function refusedResults({ status, header, pieces }: FleetReply): Promise<Lost> {
  const why = refusalOf({ status, text: await textOf(pieces()) })
  if (!isPassing(status)) throw failure(why)
  return { kind: 'again', why, retryAfterMs: retryAfterMs(header('retry-after'), Date.now()), isSilence: false }
}

/** For what is tried again a second later: the reader of the results meets the same failure, and reports it. */
const ignore = (): undefined => undefined

/** Keeps the numbers up to date until the signal. */
async function watchJob(id: string, { client, tally }: JobResultsDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const reply = await client.askText({ path: jobPath(id), signal }).catch(ignore)
    if (reply?.status === 200) showJob(readJob(reply.text), tally)
    await sleep(lookEveryMs, undefined, { signal }).catch(ignore)
  }
}

function showJob({ total, answered, cached, errors }: FleetJob, tally: Tally): void {
  tally.expect(total)
  tally.counts = { answered, cached, errors }
}
