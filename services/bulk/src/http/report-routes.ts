import { timingSafeEqual } from 'node:crypto'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { type ListSummary, recordFacts } from '@ipfleet/ip-lists/ip-summary.ts'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import type { Report, ReportedAddress } from '@ipfleet/report/report-page.ts'
import { sendReport } from '@ipfleet/report/send-report.ts'
import { type RequestHandler, type Response, Router } from 'express'
import type { JobSummaries } from '../jobs/job-summaries.ts'
import { hasEnded, type Job } from '../jobs/job.ts'
import { isJobId, jobAsked, type AdmissionDeps, holderOf, noSuchJob } from './job-access.ts'
import { leftSignal, type ResultRoutesDeps } from './result-routes.ts'

export interface ReportRoutesDeps extends ResultRoutesDeps, AdmissionDeps {
  readonly summaries: JobSummaries
}

/** Each takes some 40 bytes while they are counted. */
const maxLines = 1_000_000
const maxAddresses = 100

/** What the results of a job have in common, as far as it has come: as JSON, and as a page for those who may see the job. */
export function reportRoutes(deps: ReportRoutesDeps): Router {
  const router = Router({ caseSensitive: true })
  router.get('/jobs/:id/summary', async (req, res) => {
    const summary = await summaryOf(deps, res, await jobAsked(deps.store, req, res))
    res.set('Cache-Control', 'no-store').type('json').send(JSON.stringify(summary))
  })
  router.get(['/jobs/:id/report', '/jobs/:id/report.json'], async (req, res) => {
    const job = await jobAsked(deps.store, req, res)
    // Where clients have no tokens, no client has shown that the addresses are its own.
    const addresses = deps.clients && (await firstAddresses(deps, job))
    await sendReport(req, res, { ...(await reportOf(deps, res, job)), addresses })
  })
  return router
}

/** The same page for those who know its random id, and without addresses. It comes before clients are admitted. */
export function sharedReport(deps: ReportRoutesDeps): RequestHandler {
  return async (req, res) => {
    res.locals['holder'] = addressSubject(deps.clientOf(req))
    const { id, report } = req.params as { readonly id: string; readonly report: string }
    const job = isJobId(id) ? await deps.store.read(id) : undefined
    if (job?.reportId === undefined || !isSame(report.replace(/\.json$/, ''), job.reportId)) throw noSuchJob()
    await sendReport(req, res, await reportOf(deps, res, job))
  }
}

async function summaryOf(deps: ReportRoutesDeps, res: Response, job: Job): Promise<ListSummary> {
  if (job.lines.total > maxLines) {
    const message = `Jobs of up to ${maxLines} lines are summed up here; for longer ones, run ipfleet summarize`
    throw new ProxyError('payload_too_large', { message })
  }
  const slot = deps.slots.downloads.take(holderOf(res))
  try {
    return await deps.summaries.read(job, leftSignal(res))
  } finally {
    slot.release()
  }
}

const reportOf = async (deps: ReportRoutesDeps, res: Response, job: Job): Promise<Report> => ({
  summary: await summaryOf(deps, res, job),
  about: aboutOf(job),
})

function aboutOf({ state, lines, createdMs, finishedMs, ...job }: Job): string {
  const counted = lines.done.toLocaleString('en')
  const far = hasEnded({ ...job, state })
    ? `${counted} lines`
    : `${counted} of ${lines.total.toLocaleString('en')} lines so far`
  const errors = lines.errors === 0 ? '' : `, ${lines.errors.toLocaleString('en')} of them without a record`
  return `Job of ${utc(createdMs)}, ${state}${finishedMs === undefined ? '' : ` ${utc(finishedMs)}`}: ${far}${errors}`
}

const utc = (epochMs: number): string => `${new Date(epochMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`

/** Of the first chunk, if that is done. */
async function firstAddresses({ store }: ReportRoutesDeps, { id }: Job): Promise<ReportedAddress[]> {
  const [lines] = await store.results(id, [0])
  if (lines === undefined) return []
  return String(lines)
    .split('\n', maxAddresses)
    .filter((line) => line !== '')
    .map((line) => {
      const { input, ...record } = JSON.parse(line) as { readonly input: string }
      return { address: input, ...recordFacts(record) }
    })
}

function isSame(given: string, expected: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(expected)]
  return one.length === other.length && timingSafeEqual(one, other)
}
