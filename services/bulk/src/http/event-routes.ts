import { setTimeout as delay } from 'node:timers/promises'
import { type Response, Router } from 'express'
import type { JobChanges } from '../jobs/job-changes.ts'
import type { JobStore } from '../jobs/job-store.ts'
import { jobView } from '../jobs/job-view.ts'
import { hasEnded, type Job } from '../jobs/job.ts'
import type { ServiceSlots } from '../limits/slot-limiter.ts'
import { holderOf, jobAsked } from './job-access.ts'

export interface EventRoutesDeps {
  readonly store: JobStore
  readonly changes: JobChanges
  readonly slots: Pick<ServiceSlots, 'followers'>
  readonly streams: AbortSignal
  /** How often a comment is sent, so that proxies do not take the connection for dead. Default 15 s. */
  readonly heartbeatMs?: number | undefined
}

/** A client that takes no events is disconnected when so much waits for it. */
const maxHeldBytes = 256 * 1024
/** A job is read at most this often, however many clients follow it. */
const minPauseMs = 500

/** The progress of a job as Server-Sent Events (WHATWG HTML §9.2). */
export function eventRoutes(deps: EventRoutesDeps): Router {
  const feed = new JobFeed(deps)
  const router = Router({ caseSensitive: true })
  router.get('/jobs/:id/events', async (req, res) => {
    const job = await jobAsked(deps.store, req, res)
    // A browser connects again whenever a stream ends, unless it is told so (WHATWG HTML §9.2.3).
    if (hasEnded(job) && req.get('Last-Event-ID') === idOf(job)) return void res.status(204).end()
    const isFollowed = req.method !== 'HEAD' && !hasEnded(job)
    const slot = isFollowed ? deps.slots.followers.take(holderOf(res)) : undefined
    res.once('close', () => slot?.release())
    res.set({
      'Content-Type': 'text/event-stream; charset=utf-8',
      // Compression on the way would hold events back until there are more.
      'Cache-Control': 'no-store, no-transform',
      'X-Accel-Buffering': 'no',
    })
    if (req.method === 'HEAD') res.end()
    else stream(res, job, feed, deps.heartbeatMs ?? 15_000)
  })
  return router
}

function stream(res: Response, job: Job, feed: JobFeed, heartbeatMs: number): void {
  let lastSent = ''
  const onChange = (now: Job | undefined): void => {
    if (res.writableEnded || res.destroyed) return
    if (now === undefined) return void res.end()
    const view = JSON.stringify(jobView(now))
    if (view !== lastSent) send(res, 'progress', now, view)
    lastSent = view
    if (!hasEnded(now)) return
    send(res, 'end', now, view)
    res.end()
  }
  onChange(job)
  if (hasEnded(job)) return
  const stop = feed.listen(job.id, onChange)
  const heartbeat = setInterval(() => res.write(': still there\n\n'), heartbeatMs)
  res.once('close', () => {
    clearInterval(heartbeat)
    stop()
  })
}

/** A slow client gets no outdated progress: it gets the next one, or the end. */
function send(res: Response, event: 'progress' | 'end', job: Job, view: string): void {
  if (res.writableLength > maxHeldBytes) res.destroy()
  else if (event === 'end' || !res.writableNeedDrain) res.write(`event: ${event}\nid: ${idOf(job)}\ndata: ${view}\n\n`)
}

/** By it a client says what it has seen last. That of a job that has ended is no one's before. */
const idOf = ({ state, lines }: Job): string => (state === 'cancelled' ? `${lines.done}-cancelled` : String(lines.done))

/** Called with the job after each change; undefined: it was removed, or this process stops. */
type JobListener = (job: Job | undefined) => void

interface Watch {
  readonly listeners: Set<JobListener>
  readonly over: AbortController
}

/** Watches jobs: one reading serves all listeners of a job, and a job without listeners is not read. */
class JobFeed {
  readonly #deps: EventRoutesDeps
  readonly #watches = new Map<string, Watch>()

  constructor(deps: EventRoutesDeps) {
    this.#deps = deps
  }

  /** Calls the listener after each change, until the job or this process ends. @returns what ends the listening */
  listen(id: string, listener: JobListener): () => void {
    const watch = this.#watches.get(id) ?? this.#begin(id)
    watch.listeners.add(listener)
    return () => {
      watch.listeners.delete(listener)
      if (watch.listeners.size === 0) this.#end(id, watch)
    }
  }

  #begin(id: string): Watch {
    const watch = { listeners: new Set<JobListener>(), over: new AbortController() }
    this.#watches.set(id, watch)
    void this.#follow(id, watch)
    return watch
  }

  #end(id: string, watch: Watch): void {
    watch.over.abort()
    if (this.#watches.get(id) === watch) this.#watches.delete(id)
  }

  /** Never rejects. */
  async #follow(id: string, watch: Watch): Promise<void> {
    const { store, changes, streams } = this.#deps
    const signal = AbortSignal.any([watch.over.signal, streams])
    const notify = (job: Job | undefined): void => {
      for (const listener of watch.listeners) listener(job)
    }
    while (!signal.aborted) {
      const change = changes.next(id, signal)
      // A store that does not answer says nothing about the job.
      const seen = await store.read(id).catch(() => 'unknown' as const)
      if (seen !== 'unknown') {
        if (!watch.over.signal.aborted) notify(seen)
        if (seen === undefined || hasEnded(seen)) return this.#end(id, watch)
      }
      await Promise.all([change, delay(minPauseMs, undefined, { signal }).catch(() => {})])
    }
    if (streams.aborted) notify(undefined)
    this.#end(id, watch)
  }
}
