import { failure } from './command-fault.ts'
import type { BulkOptions } from './command-options.ts'
import { isRecord, parseJson } from '@ipfleet/core/json.ts'
import { FleetAway, type FleetText, refusalOf } from '@ipfleet/fleet-client/fleet-client.ts'
import type { FleetAccess } from './fleet-job.ts'
import { isPassing } from '@ipfleet/fleet-client/retry-policy.ts'

/** `job`, `batch`: the fleet takes jobs, or answers batches. `embedded`: no fleet answers, and none was named. */
export type Mode = 'job' | 'batch' | 'embedded'

export interface ModeDeps extends FleetAccess {
  readonly note: (text: string) => void
}

const probeIdleMs = 10_000
const maxProbes = 4

/** Finds out what answers. @throws CommandFault for a fleet that was named and is none, is away or wants a token */
export async function detectMode(deps: ModeDeps, { urlIsGiven, url }: BulkOptions): Promise<Mode> {
  try {
    const mode = await modeOf(deps)
    if (mode !== undefined) return mode
  } catch (error) {
    if (!(error instanceof FleetAway)) throw error
    if (urlIsGiven) throw failure(error.message, error)
    return 'embedded'
  }
  if (urlIsGiven) throw failure(`what answers at ${url} is no fleet`)
  deps.note(`what answers at ${url} is no fleet`)
  return 'embedded'
}

/** Undefined: what answers is no fleet. */
async function modeOf(deps: ModeDeps): Promise<'job' | 'batch' | undefined> {
  const jobs = await probe(deps, 'jobs?limit=1')
  if (jobs.status === 200 && isRecord(parseJson(jobs.text)) && /^\s*\{\s*"jobs"/.test(jobs.text)) return 'job'
  const batch = await probe(deps, 'batch', loopback)
  const answersBatches = batch.status === 200 && isRecord(parseJson(batch.text)) && batch.text.includes('127.0.0.1')
  if (!answersBatches && !isPassing(batch.status)) {
    const refusal = [batch, jobs].find(wantsToken)
    if (refusal) throw failure(`${refusalOf(refusal)} (a client’s token goes into IPFLEET_TOKEN)`)
    return undefined
  }
  if (isBusy(jobs) || wantsToken(jobs)) deps.note(`no job is made, but batches are asked for: ${refusalOf(jobs)}`)
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
  }, signal)
}

const wantsToken = ({ status }: FleetText): boolean => status === 401 || status === 403

/** It will be better soon. A replica that does not know jobs may answer 503 too, but sends no Retry-After. */
function isBusy({ status, header }: FleetText): boolean {
  return isPassing(status) && header('retry-after') !== undefined
}
