import { shownCallback } from '../webhooks/webhook-target.ts'
import { hasEnded, type Job } from './job.ts'

/** A job as its client sees it: what `GET /jobs/:id`, its events and the webhook say. Times in ISO 8601. */
export function jobView(job: Job): object {
  const { id, state, lines, rate, errors, fields, callback, storedBytes, reportId } = job
  const left = lines.total - lines.done
  return {
    id,
    state,
    created: iso(job.createdMs),
    ...(job.startedMs !== undefined && { started: iso(job.startedMs) }),
    ...(job.finishedMs !== undefined && { finished: iso(job.finishedMs) }),
    ...(job.expiresMs !== undefined && { expires: iso(job.expiresMs) }),
    lines,
    ...(job.isWaitingForRoom && { waiting: 'storage' }),
    ...(rate > 0 && { rate: Math.round(rate * 10) / 10 }),
    ...(rate > 0 && !hasEnded(job) && { eta_seconds: Math.ceil(left / rate) }),
    ...(lines.errors > 0 && { errors }),
    ...(fields && { fields }),
    ...(callback && { callback: { ...callback, url: shownCallback(callback.url) } }),
    bytes: storedBytes,
    results: `/jobs/${id}/results`,
    events: `/jobs/${id}/events`,
    ...(reportId !== undefined && { report: `/jobs/${id}/report/${reportId}` }),
  }
}

function iso(epochMs: number): string {
  return new Date(epochMs).toISOString()
}
