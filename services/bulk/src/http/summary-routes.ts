import { IpSummary } from '@ipfleet/ip-lists/ip-summary.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { Router } from 'express'
import { indicesOf, readyChunks } from '../results/extent.ts'
import { ResultReader } from '../results/result-reader.ts'
import { holderOf, jobAsked } from './job-access.ts'
import { leftSignal, type ResultRoutesDeps } from './result-routes.ts'

/** Each takes some 40 bytes while they are counted. */
const maxLines = 1_000_000

/** What the results of a job have in common, as far as it has come; of a job with `fields`, what these tell. */
export function summaryRoutes({ store, changes, slots }: ResultRoutesDeps): Router {
  const reader = new ResultReader(store, changes)
  const router = Router({ caseSensitive: true })
  router.get('/jobs/:id/summary', async (req, res) => {
    const slot = slots.downloads.take(holderOf(res))
    try {
      const job = await jobAsked(store, req, res)
      if (job.lines.total > maxLines) {
        const message = `Jobs of up to ${maxLines} lines are summed up here; for longer ones, run ipfleet summarize`
        throw new ProxyError('payload_too_large', { message })
      }
      const chunks = readyChunks(job, await store.extents(job.id))
      const summary = new IpSummary()
      for await (const lines of reader.stored(job.id, indicesOf(chunks), leftSignal(res))) summary.addResults(lines)
      res.set('Cache-Control', 'no-store').json(summary)
    } finally {
      slot.release()
    }
  })
  return router
}
