import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { type Request, type Response, Router } from 'express'
import type { ReportStore } from '../lookup/report-store.ts'

/** The pages to which `POST /tools/map` leads. Who knows a report's id sees it, without a token. */
export function reportRoutes(reports: ReportStore): Router {
  const router = Router({ caseSensitive: true })
  // Of other ids upstream is asked, as for all that this fleet does not make.
  router.get(/^\/tools\/map\/([0-9a-f]{32})(\.json)?$/, async (req, res) => sendReport(reports, req, res))
  return router
}

async function sendReport(reports: ReportStore, req: Request, res: Response): Promise<void> {
  const summary = await reports.read(String(req.params[0]))
  if (summary === undefined) {
    throw new ProxyError('not_found', { message: 'There is no report of this id, or not any more' })
  }
  // Most replicas never make one: the map takes some megabytes.
  const { reportHeaders, reportPage } = await import('@ipfleet/report/report-page.ts')
  res.set(reportHeaders).vary('Accept')
  if (req.path.endsWith('.json') || req.accepts(['html', 'json']) === 'json') {
    res.type('json').send(JSON.stringify(summary))
  } else res.send(reportPage({ summary, about: 'Of the list that was sent to /tools/map' }))
}
