import { failure } from './command-fault.ts'
import type { BulkOptions } from './command-options.ts'
import { isRecord, parseJson } from '@ipfleet/core/json.ts'
import { FleetAway, type FleetClient, type FleetText, refusalOf } from './fleet-client.ts'
import { isPassing, type RetryPolicy } from './retry-policy.ts'

/** How the list is looked up. */
export type Mode =
  /** The fleet takes it as a job. */
  | 'job'
  /** The fleet answers batches. */
  | 'batch'
  /** There is no fleet, and nobody has named one. */
  | 'embedded'

export interface ModeDeps {
  readonly client: FleetClient
  readonly retryPolicy: RetryPolicy
  readonly note: (text: string) => void
  readonly signal: AbortSignal
}

const probeIdleMs = 10_000
const maxProbes = 4

/**
 * Asks who is there.
 * @throws CommandFault for a fleet that was named and is none, is away or wants a token
 */
export async function detectMode(parts: ModeDeps, { urlIsGiven, url }: BulkOptions): Promise<Mode> {
  try {
    const way = await modeOf(parts)
    if (way !== undefined) return way
  } catch (error) {
    if (!(error instanceof FleetAway)) throw error
    if (urlIsGiven) throw failure(error.message, error)
    return 'embedded'
  }
  if (urlIsGiven) throw failure(`what answers at ${url} is no fleet`)
  parts.note(`what answers at ${url} is no fleet`)
  return 'embedded'
}

/** Undefined: whoever answers there is no fleet. */
async function modeOf(parts: ModeDeps): Promise<'job' | 'batch' | undefined> {
  const jobs = await probe(parts, 'jobs?limit=1')
  if (jobs.status === 200 && isRecord(parseJson(jobs.text)) && /^\s*\{\s*"jobs"/.test(jobs.text)) return 'job'
  const batch = await probe(parts, 'batch', loopback)
  const answersBatches = batch.status === 200 && isRecord(parseJson(batch.text)) && batch.text.includes('127.0.0.1')
  if (!answersBatches && !isPassing(batch.status)) {
    const refusal = [batch, jobs].find(wantsToken)
    if (refusal) throw failure(`${refusalOf(refusal)} (a client’s token goes into IPFLEET_TOKEN)`)
    return undefined
  }
  if (isBusy(jobs) || wantsToken(jobs)) parts.note(`no job is made, but batches are asked for: ${refusalOf(jobs)}`)
  return 'batch'
}

/** Any replica answers it without asking upstream. */
const loopback = '["127.0.0.1"]'

/** The last answer to a few tries, if it gets no better. */
function probe({ client, retryPolicy, signal }: ModeDeps, path: string, body?: string): Promise<FleetText> {
  let tries = 0
  return retryPolicy.retry(async () => {
    const post =
      body === undefined ? {} : { method: 'POST' as const, body, headers: { 'content-type': 'application/json' } }
    const reply = await client.askText({ path, ...post, idleMs: probeIdleMs, signal })
    tries += 1
    if (!isBusy(reply) || tries === maxProbes) return { kind: 'done', value: reply }
    return { kind: 'again', why: refusalOf(reply) }
  })
}

const wantsToken = ({ status }: FleetText): boolean => status === 401 || status === 403

/** It will be better soon. A replica that does not know what jobs are may answer 503 too, but names no time. */
function isBusy({ status, header }: FleetText): boolean {
  return isPassing(status) && header('retry-after') !== undefined
}
