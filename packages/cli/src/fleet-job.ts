import { isRecord, parseJson } from '@ipfleet/core/json.ts'
import { failure } from './command-fault.ts'
import { attempted, type FleetClient, requireGood } from '@ipfleet/fleet-client/fleet-client.ts'
import type { RetryPolicy } from '@ipfleet/fleet-client/retry-policy.ts'
import type { LineTally } from './tally.ts'

/** A job as the fleet shows it, as far as this command reads it. */
export interface FleetJob extends LineTally {
  readonly id: string
  readonly state: string
  readonly total: number
  readonly done: number
  readonly fields: readonly string[] | undefined
}

/** What is needed to ask the fleet for as long as it takes. */
export interface FleetAccess {
  readonly client: FleetClient
  readonly retryPolicy: RetryPolicy
  readonly signal: AbortSignal
}

const cancelTimeoutMs = 5000

export const jobPath = (id: string): string => `jobs/${encodeURIComponent(id)}`

/** The job with that id, undefined when there is none. @throws CommandFault; the signal's reason */
export function findJob(id: string, { client, retryPolicy, signal }: FleetAccess): Promise<FleetJob | undefined> {
  const ask = () =>
    attempted(
      () => client.askText({ path: jobPath(id), signal }),
      (reply) => (reply.status === 404 ? undefined : readJob(requireGood(reply).text)),
    )
  return retryPolicy.retry(ask, signal)
}

/** @returns whether the fleet has cancelled it */
export async function cancelJob(id: string, client: FleetClient): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(cancelTimeoutMs)
    const { status } = await client.askText({ method: 'DELETE', path: jobPath(id), signal })
    return status < 300
  } catch {
    return false
  }
}

/** @throws CommandFault for anything but a job */
export function readJob(text: string): FleetJob {
  const job = parseJson(text)
  const lines = isRecord(job) ? job['lines'] : undefined
  if (!isRecord(job) || typeof job['id'] !== 'string' || !isRecord(lines)) throw failure('the fleet’s answer is no job')
  const { id, state, errors, fields } = job
  return {
    id,
    state: String(state),
    total: count(lines['total']),
    done: count(lines['done']),
    answered: count(lines['answered']),
    cached: count(lines['cached']),
    errors: isRecord(errors) ? Object.fromEntries(Object.entries(errors).map(([code, n]) => [code, count(n)])) : {},
    fields: Array.isArray(fields) ? fields.map(String) : undefined,
  }
}

const count = (value: unknown): number => (typeof value === 'number' && value >= 0 ? value : 0)
