import { failure } from './command-fault.ts'
import { isRecord, parseJson } from '@ipfleet/core/json.ts'

/** A job as the fleet tells of it, as far as this command reads it. */
export interface FleetJob {
  readonly id: string
  readonly state: string
  readonly total: number
  readonly done: number
  readonly answered: number
  readonly cached: number
  /** Error lines by code. */
  readonly errors: Readonly<Record<string, number>>
  readonly fields: readonly string[] | undefined
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
