import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { sendReport } from '@ipfleet/report/send-report.ts'
import { Router } from 'express'
import type { ReportStore } from '../lookup/report-store.ts'

/** The pages to which `POST /tools/map` leads. Who knows a report's id sees it, without a token. */
export function reportRoutes(reports: ReportStore): Router {
  const router = Router({ caseSensitive: true })
  // Of other ids upstream is asked, as for all that this fleet does not make.
  router.get(/^\/tools\/map\/([0-9a-f]{32})(\.json)?$/, async (req, res) => {
    const summary = await reports.read(String(req.params[0]))
    if (summary === undefined) {
      throw new ProxyError('not_found', { message: 'There is no report of this id, or not any more' })
    }
    await sendReport(req, res, { summary, about: 'Of the list that was sent to /tools/map' })
  })
  return router
}
