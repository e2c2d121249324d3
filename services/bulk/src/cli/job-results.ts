import { retryAfterMs } from '@ipfleet/http-server/retry-after.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { failure } from './command-fault.ts'
import { attempted, FleetAway, type FleetClient, type FleetReply, refusalOf, requireGood } from './fleet-client.ts'
import { type FleetJob, readJob } from './fleet-job.ts'
import type { ResultOutput } from './output.ts'
import { type Again, type Attempt, isPassing, type RetryPolicy } from './retry-policy.ts'
import type { Tally } from './tally.ts'
import { countLines } from './whole-rows.ts'

export interface JobResultsDeps {
  readonly client: FleetClient
  readonly output: ResultOutput
  readonly tally: Tally
  readonly retryPolicy: RetryPolicy
  readonly signal: AbortSignal
}

/** As often as progress is shown. An event stream would be one more connection to mend. */
const lookEveryMs = 1000

/**
 * Writes the results of a job as they come, from the line on that is missing, until all are there. A connection that is
 * lost is taken up again behind the last whole line.
 * @throws CommandFault when the job is cancelled, or the fleet does not answer for minutes; the signal's reason
 */
export async function followJob(id: string, parts: JobResultsDeps): Promise<FleetJob> {
  const watch = new AbortController()
  const watched = watchJob(id, parts, AbortSignal.any([parts.signal, watch.signal]))
  try {
    return await parts.retryPolicy.retry(() => nextResults(id, parts))
  } finally {
    watch.abort()
    await watched
  }
}

/** The job with that id, undefined when there is none. @throws CommandFault; the signal's reason */
export function findJob(
  id: string,
  { client, retryPolicy, signal }: Pick<JobResultsDeps, 'client' | 'retryPolicy' | 'signal'>,
): Promise<FleetJob | undefined> {
  const path = jobPath(id)
  return retryPolicy.retry(() =>
    attempted(
      () => client.askText({ path, signal }),
      (reply) => (reply.status === 404 ? undefined : readJob(requireGood(reply).text)),
    ),
  )
}

export const jobPath = (id: string): string => `jobs/${encodeURIComponent(id)}`

/** Reads results over one connection after the other, until all are there or nothing more comes. */
async function nextResults(id: string, parts: JobResultsDeps): Promise<Attempt<FleetJob>> {
  const { tally } = parts
  const atFirst = tally.done
  for (;;) {
    const before = tally.done
    const lost = await readResults(id, parts)
    const isFruitless = tally.done === before
    if (lost !== undefined && isFruitless && !lost.isSilence) return { ...lost, isFirst: before > atFirst }
    const job = await findJob(id, parts)
    if (job === undefined) throw failure(`the job ${id} is there no more: it has expired, or somebody has removed it`)
    showJob(job, tally)
    if (job.state === 'completed' && tally.done >= job.total) return { kind: 'done', value: job }
    if (job.state === 'cancelled' && lost === undefined) throw failure(`the job ${id} was cancelled`)
    if (lost === undefined && isFruitless) {
      return { kind: 'again', why: 'the fleet sends no results', isFirst: before > atFirst }
    }
  }
}

/** A connection that ended too early. */
interface Lost extends Again {
  /** Nothing has come for a while, which a job that is paused explains. */
  readonly isSilence: boolean
}

/** Undefined: the results came to a regular end. */
async function readResults(id: string, parts: JobResultsDeps): Promise<Lost | undefined> {
  const { client, output, tally, signal } = parts
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
      parts.retryPolicy.succeeded()
      await output.add(lines)
      tally.wrote(countLines(lines))
      signal.throwIfAborted()
    }
    return undefined
  } catch (error) {
    if (!(error instanceof FleetAway)) throw error
    return { kind: 'again', why: error.message, isSilence: error.isSilence }
  }
}

/** @throws CommandFault for a refusal that no repetition helps */
async function refusedResults({ status, header, pieces }: FleetReply): Promise<Lost> {
  const chunks: Buffer[] = []
  for await (const piece of pieces()) chunks.push(piece)
  const why = refusalOf({ status, text: Buffer.concat(chunks).toString() })
  if (!isPassing(status)) throw failure(why)
  return { kind: 'again', why, retryAfterMs: retryAfterMs(header('retry-after'), Date.now()), isSilence: false }
}

/** For what is tried again a second later: whoever reads the results meets the same trouble, and tells of it. */
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
  tally.set({ answered, cached, errors })
}
