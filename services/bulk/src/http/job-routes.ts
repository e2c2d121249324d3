import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { type Request, type Response, Router } from 'express'
import { type BodyLimits, DecodedBody } from '@ipfleet/ip-lists/decoded-body.ts'
import type { ReadLimits } from '@ipfleet/ip-lists/read-inputs.ts'
import type { JobChanges } from '../jobs/job-changes.ts'
import type { JobStore } from '../jobs/job-store.ts'
import { jobView } from '../jobs/job-view.ts'
import { hasEnded, type Job, type JobState } from '../jobs/job.ts'
import type { ServiceSlots } from '../limits/slot-limiter.ts'
import type { Callbacks } from '../webhooks/callbacks.ts'
import { holderOf, isJobId, jobAsked, noSuchJob, ownerOf } from './job-access.ts'
import { JobIntake, type JobIntakeDeps } from './job-intake.ts'
import { jobRequestOf, subjectOf } from './job-request.ts'
import { firstOf, oneOf, wholeNumber } from './query.ts'
import { queueCall } from './error-handlers.ts'
import { Upload, type UploadLimits } from './upload.ts'

export interface JobRoutesDeps extends JobIntakeDeps {
  readonly limits: ReadLimits & BodyLimits
  readonly uploads?: UploadLimits | undefined
  readonly slots: Pick<ServiceSlots, 'uploads'>
  readonly changes: JobChanges
  readonly callbacks: Pick<Callbacks, 'check' | 'resend'>
}

const states = ['queued', 'running', 'completed', 'cancelled'] as const satisfies readonly JobState[]
/** Memory of an upload: a chunk as text and packed, and buffers. */
const uploadBytes = 1024 * 1024
const maxListed = 100
const defaultListed = 20
/** Jobs that are read in search of a rare state; the answer then has fewer than asked for, and a cursor. */
const maxScanned = 1000

/** Creates, lists, shows, cancels and removes jobs. */
export function jobRoutes(deps: JobRoutesDeps): Router {
  const { store } = deps
  const intake = new JobIntake(deps)
  const router = Router({ caseSensitive: true })

  router.get('/jobs', async (req, res) => {
    const jobs = await listJobs(store, req, ownerOf(res))
    sendJson(res, 200, { ...jobs, storage: await deps.quota.holding(holderOf(res)) })
  })
  router.post('/jobs', async (req, res) => {
    const request = await jobRequestOf(req, (given) => deps.callbacks.check(given))
    const holder = holderOf(res)
    const held = [deps.slots.uploads.take(holder, uploadBytes)]
    const upload = new Upload(req, subjectOf(request), deps.uploads)
    const onWindow = (bytes: number): void => {
      if (bytes > 0) held.push(deps.slots.uploads.take(holder, bytes))
    }
    try {
      const body = new DecodedBody(upload, req.headers['content-encoding'], { ...deps.limits, onWindow })
      // The body is accepted: a client that asked before sending it may continue.
      if (req.headers.expect !== undefined) res.writeContinue()
      const { job, replayed } = await intake.take({ owner: ownerOf(res), holder, request, upload, body })
      if (replayed) res.set('Idempotency-Replayed', 'true')
      res.location(`/jobs/${job.id}`)
      sendJson(res, 202, jobView(job))
    } finally {
      upload.destroy()
      for (const slot of held) slot.release()
    }
  })
  router.get('/jobs/:id', async (req, res) => {
    sendJson(res, 200, jobView(await jobAsked(store, req, res)))
  })
  router.delete('/jobs/:id', async (req, res) => {
    const job = await jobAsked(store, req, res)
    if (hasEnded(job)) {
      await store.remove(job.id, job.owner)
      res.status(204).end()
    } else sendJson(res, 200, jobView(await cancel(deps, job)))
  })
  router.post('/jobs/:id/webhook', async (req, res) => {
    const job = await jobAsked(store, req, res)
    requireCallback(job)
    await queueCall(deps.callbacks.resend(job.id))
    sendJson(res, 202, jobView((await store.read(job.id)) ?? job))
  })
  return router
}

function sendJson(res: Response, status: number, value: object): void {
  res.status(status).set('Cache-Control', 'no-store').json(value)
}

/** @returns the job, which may have completed meanwhile */
async function cancel({ store, changes }: JobRoutesDeps, { id }: Job): Promise<Job> {
  await store.cancel(id)
  // Other processes learn of it through the store.
  changes.cancelled(id)
  const job = await store.read(id)
  if (job) return job
  throw noSuchJob()
}

/** @throws ProxyError `conflict` */
function requireCallback(job: Job): void {
  if (job.callback === undefined) throw new ProxyError('conflict', { message: 'This job has no callback' })
  if (job.state === 'completed') return
  throw new ProxyError('conflict', { message: `A job that is ${job.state} has no completion to tell` })
}

async function listJobs(store: JobStore, { query }: Request, owner: string): Promise<object> {
  const limit = wholeNumber('limit', query['limit'], { min: 1, max: maxListed, default: defaultListed })
  const state = oneOf('state', query['state'], states)
  const jobs: Job[] = []
  let before = cursorIn(query['cursor'])
  let looked = 0
  for (;;) {
    // One more than is shown, to know whether there are more.
    const page = await store.list(owner, limit + 1, before)
    looked += page.length
    for (const job of page.slice(0, limit)) {
      before = job.id
      if (state === undefined || job.state === state) jobs.push(job)
      if (jobs.length === limit) break
    }
    const isLast = page.length <= limit && page.at(-1)?.id === before
    if (page.length === 0 || isLast) return { jobs: jobs.map(jobView) }
    if (jobs.length === limit || looked > maxScanned) return { jobs: jobs.map(jobView), next: before }
  }
}

/** @throws ProxyError `bad_request` */
function cursorIn(value: unknown): string | undefined {
  const cursor = firstOf(value)
  if (cursor === undefined || isJobId(cursor)) return cursor
  throw new ProxyError('bad_request', { message: 'cursor is the `next` of the page before' })
}
