import { type Response, Router } from 'express'
import type { JobStore } from '../jobs/job-store.ts'
import { jobView } from '../jobs/job-view.ts'
import { hasEnded, type Job } from '../jobs/job.ts'
import type { ServiceSlots } from '../limits/service-slots.ts'
import { holderOf, jobAsked } from './job-access.ts'
import { JobFeed, type JobFeedDeps } from './job-feed.ts'

export interface EventRoutesDeps extends JobFeedDeps {
  readonly store: JobStore
  readonly places: Pick<ServiceSlots, 'followers'>
  /** How often a comment is sent, so that nobody takes the connection for dead. Default 15 s. */
  readonly heartbeatMs?: number | undefined
}

/** A client that takes no events and is told this much is cut off. */
const maxHeldBytes = 256 * 1024

/** How a job goes, as it goes: Server-Sent Events (WHATWG HTML §9.2). */
export function eventRoutes(parts: EventRoutesDeps): Router {
  const feed = new JobFeed(parts)
  const router = Router({ caseSensitive: true })
  router.get('/jobs/:id/events', async (req, res) => {
    const job = await jobAsked(parts.store, req, res)
    const isFollowed = req.method !== 'HEAD' && !hasEnded(job)
    const place = isFollowed ? parts.places.followers.take(holderOf(res)) : undefined
    res.once('close', () => place?.release())
    res.set({
      'Content-Type': 'text/event-stream; charset=utf-8',
      // Compressed on the way, events would wait for more of them.
      'Cache-Control': 'no-store, no-transform',
      'X-Accel-Buffering': 'no',
    })
    if (req.method === 'HEAD') res.end()
    else stream(res, job, feed, parts.heartbeatMs ?? 15_000)
  })
  return router
}

function stream(res: Response, job: Job, feed: JobFeed, heartbeatMs: number): void {
  let lastSent = ''
  const tell = (now: Job | undefined): void => {
    if (res.writableEnded || res.destroyed) return
    if (now === undefined) return void res.end()
    const view = JSON.stringify(jobView(now))
    if (view !== lastSent) send(res, 'progress', now, view)
    lastSent = view
    if (hasEnded(now)) {
      send(res, 'end', now, view)
      res.end()
    }
  }
  tell(job)
  if (hasEnded(job)) return
  const stop = feed.listen(job.id, tell)
  const heartbeat = setInterval(() => res.write(': still there\n\n'), heartbeatMs)
  res.once('close', () => {
    clearInterval(heartbeat)
    stop()
  })
}

/** What a slow client has not taken yet is out of date: it gets the next one, or the end. */
function send(res: Response, event: 'progress' | 'end', { lines }: Job, view: string): void {
  if (res.writableLength > maxHeldBytes) res.destroy()
  else if (event === 'end' || !res.writableNeedDrain) res.write(`event: ${event}\nid: ${lines.done}\ndata: ${view}\n\n`)
}
